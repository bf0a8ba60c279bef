package sql

import (
	"fmt"
	"regexp"
	"strings"
)

// Side is which database of a cluster a migration is rendered for. Each has the same names, so that a statement is the same text on all of them: what
// lies on another side is a Distributed table here.
type Side int

const (
	// OneServer has everything in one database.
	OneServer Side = iota
	// HomeSide is the database at home: all that users see.
	HomeSide
	// ShardSide is the database of a node's shard: the rows of its visitors.
	ShardSide
	// LentSide is the database of home's name on the other nodes. A read of home's tables goes to all nodes, and finds nothing there.
	LentSide
)

// Cluster is what the Distributed tables of a side point to.
type Cluster struct {
	Name      string // in the servers' remote_servers
	Home      string // database of [HomeSide]
	Shard     string // database of [ShardSide]
	HomePlace uint64 // a sharding key by which rows go to home: the sum of the weights of the shards before it
}

// lives are the words of a migration's header: where its table or view is on a cluster. Without a word of it that is home.
var lives = regexp.MustCompile(`(?m)^-- Lives: +(.*)$`)

const (
	livesOnShards   = "shards"
	livesLent       = "home, read by shards"
	livesEverywhere = "both"
)

// OnShards reports whether the rows of a table or view lie on the shards.
func OnShards(name string) bool { return placeOf[name] == livesOnShards }

// placeOf is where each table and view lives, by its name.
var placeOf = readPlaces()

func readPlaces() map[string]string {
	places := map[string]string{}
	for _, m := range migrations() {
		place := "home"
		if found := lives.FindStringSubmatch(m.text); found != nil {
			place = found[1]
		}
		if made := made.FindStringSubmatch(m.text); made != nil {
			places[made[1]] = place
		}
	}
	return places
}

// made finds the name and the columns of a table or view, which stand in lines of their own.
var (
	made    = regexp.MustCompile(`(?m)^create (?:or replace view|table if not exists) (\w+)$`)
	columns = regexp.MustCompile(`(?ms)^create (?:or replace view|table if not exists) \w+\n(\(\n.*?\n\))$`)
	index   = regexp.MustCompile(`(?m),\n    index .*?(,?)$`)
	about   = regexp.MustCompile(`(?m)^comment '.*'$`)
	altered = regexp.MustCompile(`(?m)^alter table (\w+)`)
)

// nothing is what a migration does where it has nothing to do.
const nothing = "select 1"

// render writes a migration for one side.
func (c Cluster) render(text string, side Side) string {
	if side == OneServer {
		return text
	}
	name := ""
	if found := made.FindStringSubmatch(text); found != nil {
		name = found[1]
	} else if found := altered.FindStringSubmatch(text); found != nil {
		name = found[1]
	}
	switch place := placeOf[name]; {
	case place == livesEverywhere && side != LentSide:
		return text
	case place == livesOnShards && side == ShardSide, place == livesLent && side == LentSide, place != livesOnShards && side == HomeSide:
		return text
	case place == livesOnShards && side == HomeSide:
		return c.distributed(text, name, c.Shard, "cityHash64(customer_id, visitor_id)")
	case place == livesLent && side == ShardSide:
		return c.distributed(text, name, c.Home, fmt.Sprintf("toUInt64(%d)", c.HomePlace))
	}
	return nothing
}

// distributed writes the table that stands for one of another side.
func (c Cluster) distributed(text, name, database, key string) string {
	if altered.MatchString(text) {
		return text // columns are added to it alike
	}
	found := columns.FindStringSubmatch(text)
	if found == nil {
		return nothing // a view with parameters
	}
	list := found[1]
	for index.MatchString(list) {
		list = index.ReplaceAllString(list, "$1")
	}
	if strings.HasPrefix(key, "cityHash64") && !(strings.Contains(list, "    customer_id ") && strings.Contains(list, "    visitor_id ")) {
		key = "" // nothing is inserted here
	} else {
		key = ", " + key
	}
	return fmt.Sprintf("create table if not exists %s\n%s\nengine = Distributed(%s, %s, %s%s)\n%s\n", name, list,
		literal(c.Name), literal(database), literal(name), key, about.FindString(text))
}

func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
