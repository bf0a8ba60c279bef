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
	// LentSide is a database on all nodes by which shards read tables of home: at home they are views there, on the other nodes there is nothing
	// in them, so that a read of all nodes gives home's rows. A statement that would look for home's tables on another node finds no such database.
	LentSide
	// EmptySide is LentSide on the other nodes.
	EmptySide
)

// Cluster is what the Distributed tables of a side point to.
type Cluster struct {
	Name  string // in the servers' remote_servers
	Home  string // database of [HomeSide]
	Shard string // database of [ShardSide]
	Lent  string // database of [LentSide]
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

// Spread returns the tables and views whose rows lie on the shards, in the order of the migrations.
func Spread() (names []string) {
	for _, m := range migrations() {
		if made := made.FindStringSubmatch(m.text); made != nil && OnShards(made[1]) {
			names = append(names, made[1])
		}
	}
	return names
}

// Make returns the statement that makes a table or view for a target.
func (t Target) Make(name string) string {
	for _, m := range migrations() {
		if made := made.FindStringSubmatch(m.text); made != nil && made[1] == name {
			return t.Render(m.text)
		}
	}
	panic("no migration makes " + name)
}

// MakeAs is Make for a table under another name.
func (t Target) MakeAs(name, as string) string {
	return strings.Replace(t.Make(name), " "+name+"\n", " "+as+"\n", 1)
}

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
	case side == HomeSide && place == livesOnShards:
		return c.distributed(text, name, c.Shard)
	case side == HomeSide, side == ShardSide && (place == livesOnShards || place == livesEverywhere):
		return text
	case side == ShardSide && place == livesLent:
		return c.distributed(text, name, c.Lent)
	case side == LentSide && place == livesLent:
		return fmt.Sprintf("create or replace view %s\ndefiner = current_user sql security definer\nas select * from `%s`.%s\n", name, c.Home, name)
	case side == EmptySide && place == livesLent:
		return fmt.Sprintf("create table if not exists %s\n%s\nengine = Null\n%s\n", name, listed(text), about.FindString(text))
	}
	return nothing
}

// listed returns the columns of a table or view, without indexes; empty where they are not listed.
func listed(text string) string {
	found := columns.FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	list := found[1]
	for index.MatchString(list) {
		list = index.ReplaceAllString(list, "$1")
	}
	return list
}

// distributed writes the table that stands for one of another side.
func (c Cluster) distributed(text, name, database string) string {
	if altered.MatchString(text) {
		return text // columns are added to it alike
	}
	list, key := listed(text), ""
	if list == "" {
		return nothing // a view with parameters
	}
	if strings.Contains(list, "    customer_id ") && strings.Contains(list, "    visitor_id ") {
		key = ", cityHash64(customer_id, visitor_id)" // without nothing can be inserted
	}
	return fmt.Sprintf("create table if not exists %s\n%s\nengine = Distributed(%s, %s, %s%s)\n%s\n", name, list,
		literal(c.Name), literal(database), literal(name), key, about.FindString(text))
}

func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
