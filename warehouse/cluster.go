package warehouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/tieback/tieback/sql"
)

// A cluster (spec 8): the node that --clickhouse names is home, and has all tables in the database that one server has them in. The rows of visitors
// lie on the shards, each in a database of its own, and are Distributed tables at home. The nodes are those of system.clusters at home.

// shardDatabase is the database with the rows of a node's shard.
func (db *DB) shardDatabase() string { return db.database + "_shard" }

// lentDatabase is the one by which shards read tables of home.
func (db *DB) lentDatabase() string { return db.database + "_home" }

// node is a replica of a shard of the cluster.
type node struct {
	Shard   uint32 `ch:"shard_num"`
	Replica uint32 `ch:"replica_num"`
	Weight  uint32 `ch:"shard_weight"`
	Host    string `ch:"host_name"`
	Port    uint16 `ch:"port"` // of the native protocol
	IsLocal uint8  `ch:"is_local"`
}

func (n node) String() string { return net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port))) }

// isHome reports whether a node has home's tables: it is home, or a replica of it.
func (c nodes) isHome(n node) bool { return n.Shard == c[c.home()].Shard }

// nodes are those of a cluster, by shard and replica.
type nodes []node

func (c nodes) home() int { return slices.IndexFunc(c, func(n node) bool { return n.IsLocal == 1 }) }

// nodes asks home for them.
func (db *DB) nodes(ctx context.Context) (list nodes, err error) {
	query := `select shard_num, replica_num, shard_weight, host_name, port, is_local from system.clusters
		where cluster = {cluster:String} order by shard_num, replica_num`
	home := db.node(node{IsLocal: 1}, "system")
	if err := home.Select(ctx, (*[]node)(&list), query, Params{"cluster": db.cluster}); err != nil {
		return nil, fmt.Errorf("look for the nodes of the cluster %s: %w", db.cluster, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("ClickHouse at %s knows no cluster %s: name one of its remote_servers with --cluster", db.Where(), db.cluster)
	}
	if list.home() < 0 {
		return nil, fmt.Errorf("ClickHouse at %s is not a node of the cluster %s: give the address of one that is with --clickhouse", db.Where(), db.cluster)
	}
	return list, nil
}

// side is one of the databases that the tables are in, and what the migrations are rendered for there.
type side struct {
	*DB
	target sql.Target
	also   *DB // a database that must be there, and is empty: users may have home's as their default; nil for none
}

// sides returns the databases that tables are in: one, or those on all nodes of a cluster, home's first.
func (db *DB) sides(ctx context.Context) (list []side, err error) {
	if db.cluster == "" {
		return []side{{DB: db}}, nil
	}
	nodes, err := db.nodes(ctx)
	if err != nil {
		return nil, err
	}
	cluster := sql.Cluster{Name: db.cluster, Home: db.database, Shard: db.shardDatabase(), Lent: db.lentDatabase()}
	list = []side{{DB: db, target: sql.Target{Side: sql.HomeSide, Cluster: cluster}}}
	for _, n := range nodes {
		lent := sql.EmptySide
		if nodes.isHome(n) {
			lent = sql.LentSide
		}
		if lent == sql.LentSide && n.IsLocal == 0 {
			list = append(list, side{DB: db.node(n, db.database), target: sql.Target{Side: sql.HomeSide, Cluster: cluster}})
		}
		lending := side{DB: db.node(n, db.lentDatabase()), target: sql.Target{Side: lent, Cluster: cluster}}
		if lent == sql.EmptySide {
			lending.also = db.node(n, db.database)
		}
		list = append(list, lending, side{DB: db.node(n, db.shardDatabase()), target: sql.Target{Side: sql.ShardSide, Cluster: cluster}})
	}
	return list, nil
}

// create makes the databases of a side.
func (s side) create(ctx context.Context) error {
	if s.also != nil {
		if err := s.also.createDatabase(ctx); err != nil {
			return err
		}
	}
	return s.createDatabase(ctx)
}

// node returns a connection to a database of a node, which is made once.
func (db *DB) node(n node, database string) *DB {
	name := n.String() + "/" + database
	if n.IsLocal == 1 {
		name = "/" + database
	}
	db.others.Lock()
	defer db.others.Unlock()
	if open := db.others.opened[name]; open != nil {
		return open
	}
	open := &DB{server: db.server, dataDir: db.dataDir, database: database, log: db.log, lockExpiry: db.lockExpiry, cluster: db.cluster}
	if n.IsLocal == 0 {
		open.isNode = true
		open.server.Protocol, open.server.Addr = clickhouse.Native, []string{n.String()}
		if open.server.TLS != nil { // its certificate bears the node's name
			config := open.server.TLS.Clone()
			config.ServerName = n.Host
			open.server.TLS = config
		}
		open.server.DialContext = dialer(&open.server)
	}
	if db.others.opened == nil {
		db.others.opened = map[string]*DB{}
	}
	db.others.opened[name] = open
	return open
}

// Shards returns what has the rows of visitors: each shard of a cluster, by the first of its replicas that answers, or the one server.
func (db *DB) Shards(ctx context.Context) ([]*DB, error) {
	if db.cluster == "" {
		return []*DB{db}, nil
	}
	if known := db.shards.Load(); known != nil {
		return *known, nil
	}
	list, err := db.nodes(ctx)
	if err != nil {
		return nil, err
	}
	var shards []*DB
	var away error
	for i, n := range list {
		if len(shards) == int(n.Shard) {
			continue // another replica of it answers
		}
		shard := db.node(n, db.shardDatabase())
		asked, cancel := context.WithTimeout(ctx, dialPatience) // one that hangs takes connections, and gives no answer
		err := shard.Exec(asked, "select 1", nil)
		cancel()
		if err == nil {
			shards, away = append(shards, shard), nil
		} else {
			if ctx.Err() == nil && !errors.Is(err, ErrAway) {
				err = fmt.Errorf("%w: %w", ErrAway, err)
			}
			away = errors.Join(away, fmt.Errorf("shard %d of the cluster %s: %w", n.Shard, db.cluster, err))
		}
		if last := i+1 == len(list) || list[i+1].Shard != n.Shard; last && len(shards) < int(n.Shard) {
			return nil, away
		}
	}
	db.shards.Store(&shards)
	return shards, nil
}

// LookAgain has the next call of Shards look again which replicas answer. A run does so at its beginning, and keeps to them until its end: what it wrote to one may
// not be at the others yet.
func (db *DB) LookAgain() { db.shards.Store(nil) }

// OnShards does something on all shards at once, and waits for all; the error of one ends the others. With one server that is all.
func (db *DB) OnShards(ctx context.Context, do func(ctx context.Context, shard *DB) error) error {
	shards, err := db.Shards(ctx)
	if err != nil {
		return err
	}
	if len(shards) == 1 {
		return do(ctx, shards[0])
	}
	work, ctx := errgroup.WithContext(ctx)
	for _, shard := range shards {
		work.Go(func() error { return shard.At(do(ctx, shard)) })
	}
	if err = work.Wait(); errors.Is(err, ErrAway) {
		db.LookAgain() // another replica may answer
	}
	return err
}

// shardSilence is for how long a shard may give no answer before what waits for it is given up: as long as four locks live.
func (db *DB) shardSilence() time.Duration { return cmp.Or(db.shardPatience, 4*db.lockExpiry) }

// Watched returns a context that ends when a shard gives no answer any more, with that as its cause: a statement under way at a node that hangs would be waited for
// without end. stop ends the watch.
func (db *DB) Watched(ctx context.Context) (watched context.Context, stop func()) {
	if db.cluster == "" {
		return ctx, func() {}
	}
	watched, fail := context.WithCancelCause(ctx)
	shards, err := db.Shards(ctx)
	if err != nil {
		fail(err)
	}
	for _, shard := range shards {
		go shard.watch(watched, db.shardSilence(), fail)
	}
	return watched, func() { fail(nil) }
}

func (db *DB) watch(ctx context.Context, silence time.Duration, fail context.CancelCauseFunc) {
	for answered := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(silence / 8):
		}
		asked, cancel := context.WithTimeout(ctx, silence/4)
		err := db.Exec(asked, "select 1", nil)
		cancel()
		if err == nil {
			answered = time.Now()
		} else if time.Since(answered) > silence {
			fail(db.At(&awayError{where: fmt.Sprintf("a shard of the cluster %s, silent for %s,", db.cluster, silence), err: err, check: "check that it runs"}))
			return
		}
	}
}

// At says at which node of a cluster an error was.
func (db *DB) At(err error) error {
	if err == nil || db.cluster == "" {
		return err
	}
	return fmt.Errorf("at %s: %w", db.Where(), err)
}

// Holding does something where the rows of a table lie: on all shards, or once at home.
func (db *DB) Holding(ctx context.Context, table string, do func(ctx context.Context, db *DB) error) error {
	if sql.OnShards(table) {
		return db.OnShards(ctx, do)
	}
	return do(ctx, db)
}

// others are the connections to other databases and nodes of a cluster.
type others struct {
	sync.Mutex
	opened map[string]*DB
}

func (o *others) close() (err error) {
	o.Lock()
	defer o.Unlock()
	for _, db := range o.opened {
		err = errors.Join(err, db.Close())
	}
	return err
}

// ErrOneServer says that the tables were made for one server.
var ErrOneServer = errors.New("the tables are on one server: `tieback migrate --move` spreads them over the cluster")

// noteShards keeps over which shards the rows are spread, the first time; each shard notes which one it is. On other shards each visitor's rows would be looked for
// where they are not.
func (db *DB) noteShards(ctx context.Context) error {
	if db.cluster == "" {
		return nil
	}
	now, spread, err := db.spread(ctx)
	if err != nil || spread != "" {
		return err
	}
	shards, err := db.Shards(ctx)
	if err != nil {
		return err
	}
	spread = uuid.NewString()
	for place, shard := range shards {
		err := shard.Exec(ctx, "truncate table shard_place", nil) // of a note that was cut off
		if err == nil {
			err = shard.Exec(ctx, "insert into shard_place select {spread:String}, {place:UInt64}", Params{"spread": spread, "place": place})
		}
		if err != nil {
			return shard.At(err)
		}
	}
	return db.Exec(ctx, "insert into cluster_shards select number, {shards:Array(String)}[number + 1], {spread:String} from numbers(length({shards:Array(String)}))",
		Params{"shards": now, "spread": spread})
}

// spread returns the shards that the cluster has now, and the id under which home has noted them, empty where it has noted none. It fails where they are others.
func (db *DB) spread(ctx context.Context) (now []string, spread string, err error) {
	list, err := db.nodes(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, n := range list {
		if n.Replica == 1 {
			now = append(now, fmt.Sprintf("shard %d of weight %d", n.Shard, n.Weight))
		}
	}
	var before []string
	if err := db.Row(ctx, "select groupArray(shard), any(spread) from (select shard, spread from cluster_shards order by place)", nil, &before, &spread); err != nil {
		return nil, "", err
	}
	if len(before) > 0 && !slices.Equal(before, now) {
		return nil, "", fmt.Errorf("the cluster %s has %s now, and the rows of visitors are spread over %s: give it those again", db.cluster, strings.Join(now, ", "), strings.Join(before, ", "))
	}
	return now, spread, nil
}

// CheckShards makes sure that the rows of visitors are where they are looked for: on all the shards that home has noted, in their order.
func (db *DB) CheckShards(ctx context.Context) error {
	if db.engine != nil {
		return nil
	}
	if db.cluster == "" { // as a service was started before its tables were spread
		_, _, err := db.schemaVersion(ctx)
		return err
	}
	_, spread, err := db.spread(ctx)
	if err != nil {
		return err
	}
	shards, err := db.Shards(ctx)
	if err != nil {
		return err
	}
	for place, shard := range shards {
		var is uint64
		var of string
		if err := shard.Row(ctx, "select any(place), any(spread) from shard_place", nil, &is, &of); err != nil {
			return shard.At(err)
		}
		if of == "" || of != spread || is != uint64(place) {
			return fmt.Errorf("the node %s is not the shard %d that visitors' rows were put on: give the cluster %s its shards in their order again", shard.Where(), place+1, db.cluster)
		}
	}
	return nil
}

// NodeSchema is the schema of a node, as `tieback migrate` shows it.
type NodeSchema struct {
	Where   string
	Shard   uint32
	Home    bool
	Version int   // the older one of its databases
	Err     error // why it is not known
}

// NodeSchemas returns the schema of each node of a cluster; none for one server.
func (db *DB) NodeSchemas(ctx context.Context) (list []NodeSchema, err error) {
	if db.cluster == "" {
		return nil, nil
	}
	nodes, err := db.nodes(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range nodes {
		schema := NodeSchema{Where: n.String(), Shard: n.Shard, Home: nodes.isHome(n)}
		databases := []string{db.lentDatabase(), db.shardDatabase()}
		if schema.Home {
			databases = append(databases, db.database)
		}
		for i, database := range databases {
			version, dirty, err := db.node(n, database).noted(ctx)
			if err == nil && dirty {
				err = fmt.Errorf("a migration of %s to version %d was cut off", database, version)
			}
			schema.Err = cmp.Or(schema.Err, err)
			if i == 0 || version < schema.Version {
				schema.Version = version
			}
		}
		list = append(list, schema)
	}
	return list, nil
}
