package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Beside a service that accepts, others read what is published, and nothing else.
func TestSQLPort(t *testing.T) {
	dir := t.TempDir()
	s := serve(t, dir, "--listen", "127.0.0.1:0", "--sql-listen", "127.0.0.1:0")
	found := regexp.MustCompile(`msg="SQL can be read" address=(\S+)`).FindStringSubmatch(s.head)
	if found == nil {
		t.Fatalf("no address of the port in the log:\n%s", s.head)
	}
	for statement, want := range map[string]string{
		"select count() from exposures":      "0",
		"select * from catalog_tokens":       "ACCESS_DENIED",
		"insert into conversions values (1)": "ACCESS_DENIED",
		"select count() from results_visitors(customer_id = 'c', optimization_id = 'o', from_day = '2026-09-01', to_day = '2026-09-02')": "0",
	} {
		res, err := http.Post("http://"+found[1]+"/", "", strings.NewReader(statement))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %s %v", statement, text, err)
		}
	}
	s.stop()
}
