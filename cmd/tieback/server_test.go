package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tieback/tieback/warehouse/chdb"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

// leastGrants reads what docs/operating.md says that Tieback's user needs.
func leastGrants(t *testing.T, page string) (grants []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page + ".md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ +(grant .*) to tieback;?$`).FindAllStringSubmatch(string(text), -1) {
		grants = append(grants, m[1])
	}
	if len(grants) < 3 {
		t.Fatalf("docs/%s.md grants %v", page, grants)
	}
	return grants
}

// fewRightsServer is a server with a user of few rights, and its database.
func fewRightsServer(t *testing.T) chdb.Endpoint {
	t.Helper()
	t.Setenv(beTieback, "1") // for the process that is started
	return warehousetest.ServerWith(t, t.TempDir(), []string{os.Args[0], "engine"}, warehousetest.User("few", "", leastGrants(t, "operating")...))
}

func askServer(t *testing.T, server chdb.Endpoint, user, password, statement string) string {
	t.Helper()
	_, answer := warehousetest.Ask(t, server, user, password, statement)
	return answer
}

// useServer makes all commands of the test go to a server.
func useServer(t *testing.T, url string) {
	atServer = url
	t.Cleanup(func() { atServer = "" })
}

// TestWholeProgramOnAServer is TestWholeProgram with --clickhouse, by a user of few rights, over
// both protocols; then analysts read.
func TestWholeProgramOnAServer(t *testing.T) {
	server := fewRightsServer(t)
	operator := func(statement string) string { return askServer(t, server, server.User, server.Password, statement) }
	for scheme, address := range map[string]string{"http": server.Address, "clickhouse": warehousetest.Native(t, server)} {
		t.Run(scheme, func(t *testing.T) {
			useServer(t, scheme+"://few:pw@"+address)
			dir := t.TempDir()
			if _, said, code := tieback(t, dir, "", "status"); code != 1 || !strings.Contains(said, "there are no tables of Tieback on this ClickHouse server") {
				t.Errorf("status of an empty server: exit %d\n%s", code, said)
			}
			if got := operator("exists database tieback"); got != "0" {
				t.Error("status has made a database")
			}
			if _, said, code := tieback(t, dir, "", "migrate"); code != 1 || !strings.Contains(said, "create the database tieback") || !strings.Contains(said, "ACCESS_DENIED") {
				t.Errorf("without the right to make a database: exit %d\n%s", code, said)
			}
			operator("create database tieback")
			wholeProgram(t, dir)
			if got := must(t, dir, "doctor"); strings.Contains(got, "BAD") {
				t.Errorf("doctor:\n%s", got)
			}
			for _, name := range strings.Fields(askServer(t, server, "analyst", server.AnalystPassword, "show tables")) {
				statement := "select count() from " + name
				if strings.HasPrefix(name, "results_") && name != "results_history" {
					statement += "(customer_id = '123456789', optimization_id = 'hero', from_day = '2026-01-01', to_day = '2100-01-01')"
				}
				if got := askServer(t, server, "analyst", server.AnalystPassword, statement); !regexp.MustCompile(`^\d+$`).MatchString(got) {
					t.Errorf("an analyst asks %s: %s", statement, got)
				}
			}
			if got := askServer(t, server, "analyst", server.AnalystPassword, "select variation_id from attributions"); got != "b" {
				t.Errorf("an analyst reads attributions: %s", got)
			}
			if got := must(t, dir, "erase", "123456789", "--user", "salesforce", "72349876"); !strings.Contains(got, "deleted ") {
				t.Errorf("erase: %s", got)
			}
			if got := operator("select count() from tieback.attributions"); got != "0" {
				t.Errorf("%s attributions are left of who was erased", got)
			}
			operator("drop database tieback sync")
			if said, _, code := tieback(t, dir, "", "doctor"); code != 1 || !strings.Contains(said, "BAD  schema") {
				t.Errorf("doctor without a schema: exit %d\n%s", code, said)
			}
		})
	}
}

// TestServerAwayAtStart: what the catalog of the last time allows is accepted, and waits.
func TestServerAwayAtStart(t *testing.T) {
	server := fewRightsServer(t)
	askServer(t, server, server.User, server.Password, "create database tieback")
	proxy := newFlakyProxy(t, server.Address)
	useServer(t, "http://few:pw@"+proxy.listener.Addr().String())
	dir := t.TempDir()
	token := must(t, dir, "token", "add", "123456789", "main")
	s := serve(t, dir)
	s.stop()
	proxy.set("refuse")
	s = serve(t, dir)
	s.token = token
	if status, answer := s.post("/event", seedBody("1", time.Minute)); status != 200 {
		t.Errorf("while the server is away: %d %s", status, answer)
	}
	if got := s.get("/readyz"); !strings.Contains(got, "the catalog can't be read from ClickHouse now; events are accepted for what it held before") {
		t.Errorf("/readyz: %s", got)
	}
	s.token = "tb_0000000000_none" // may be a new one
	if status, _ := s.post("/event", seedBody("2", time.Minute)); status != 503 {
		t.Errorf("an unknown token: %d", status)
	}
	proxy.set("pass")
	received := func() bool {
		return askServer(t, server, server.User, server.Password, "select count() from tieback.conversions") == "1"
	}
	if !becomes(time.Minute, received) || !becomes(time.Minute, func() bool { return strings.Contains(s.get("/readyz"), "ready") }) {
		t.Errorf("when the server is back: %s\n%s", s.get("/readyz"), s.log)
	}
	// The schema disappears, and comes again empty: what was known holds.
	askServer(t, server, server.User, server.Password, "drop database tieback sync")
	if said := ""; !becomes(time.Minute, func() bool { said = s.get("/readyz"); return strings.Contains(said, "catalog") }) {
		t.Errorf("without a schema /readyz says %q", said)
	}
	askServer(t, server, server.User, server.Password, "create database tieback")
	must(t, t.TempDir(), "migrate")
	if said := ""; !becomes(time.Minute, func() bool {
		said = s.log.String()
		return strings.Contains(said, "was emptied, or an older one restored")
	}) {
		t.Errorf("of an empty catalog the log says\n%s", said)
	}
	s.token = token
	if status, answer := s.post("/event", seedBody("3", time.Minute)); status != 200 {
		t.Errorf("of a schema that was emptied: %d %s", status, answer)
	}
	if got := s.get("/readyz"); strings.Contains(got, "ready\n") {
		t.Errorf("/readyz: %s", got)
	}
	// Started again, it still knows better.
	s.stop()
	s = serve(t, dir)
	s.token = token
	if status, answer := s.post("/event", seedBody("4", time.Minute)); status != 200 {
		t.Errorf("started again: %d %s", status, answer)
	}
	if got := s.get("/readyz"); !strings.Contains(got, "was emptied") {
		t.Errorf("started again /readyz says %s", got)
	}
}
