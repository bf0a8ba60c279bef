package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tieback/tieback/refuse"
)

func newEdit(now time.Time) *Edit {
	return &Edit{now: now, Snapshot: &Snapshot{
		Accounts: map[string]Account{}, Tokens: map[string]Token{}, Names: map[string][]EventName{},
		Rules:         map[string]map[string][]EventRule{},
		Optimizations: map[string]map[string]Optimization{},
		Variations:    map[string]map[string]map[string]Variation{},
		Goals:         map[string]map[string]map[string]Goal{},
	}}
}

var noon = time.Date(2026, 9, 21, 12, 0, 0, 0, time.UTC)

func TestSecretsCannotBePrinted(t *testing.T) {
	secret, token := NewToken("c1", "main", noon)
	text := secret.Reveal()
	asJSON, err := json.Marshal(map[string]any{"a": secret, "b": token})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprint(secret), fmt.Sprintf("%+v %#v %s", secret, secret, secret), string(asJSON), secret.LogValue().String()} {
		if strings.Contains(shown, text) || strings.Contains(shown, text[len(text)-20:]) {
			t.Errorf("the secret shows in %q", shown)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	e := newEdit(noon)
	first, err := e.AddToken("c1", "main")
	if err != nil {
		t.Fatal(err)
	}
	second, err := e.AddToken("c1", "next") // two live ones, for rotation
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []Secret{first, second} {
		if customerID, err := e.Authenticate(secret.Reveal()); customerID != "c1" || err != nil {
			t.Errorf("%q %v", customerID, err)
		}
	}
	text := first.Reveal()
	for _, wrong := range []string{"", "tb", "tb_", "tb__", text[:len(text)-1], text + "x", strings.ToUpper(text), strings.Replace(text, "tb_", "xx_", 1), "tb_" + strings.Split(text, "_")[1] + "_guess"} {
		if _, err := e.Authenticate(wrong); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("%q gives %v", wrong, err)
		}
	}
	if err := e.RevokeToken("c1", "main"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Authenticate(text); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("a revoked token gives %v", err)
	}
	if _, err := e.AddToken("c1", "main"); err != nil {
		t.Errorf("the name of a revoked token can't be used again: %v", err)
	}
}

// TestNamesBelongToOneEvent tries random changes; whatever is accepted, a name
// belongs to at most one event at a moment, and an event bears at most one (R3).
func TestNamesBelongToOneEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := newEdit(noon)
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			e.now = e.now.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "later")) * time.Millisecond)
			event := rapid.SampledFrom([]string{"e1", "e2", "e3"}).Draw(t, "event")
			name := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name")
			switch rapid.IntRange(0, 2).Draw(t, "change") {
			case 0:
				from := e.now.Add(-time.Duration(rapid.IntRange(-3, 5).Draw(t, "since")) * time.Millisecond)
				_, _ = e.AddEvent("c1", name, event, from)
			case 1:
				_ = e.RenameEvent("c1", event, name)
			case 2:
				_ = e.ArchiveEvent("c1", event)
			}
		}
		for ms := -10; ms < 80; ms++ {
			at := noon.Add(time.Duration(ms) * time.Millisecond)
			byName, byEvent := map[string]string{}, map[string]string{}
			for _, n := range e.Names["c1"] {
				if n.From.After(at) || !at.Before(n.end()) {
					continue
				}
				if other, taken := byName[n.APIName]; taken && other != n.EventID {
					t.Fatalf("at %d ms %q belongs to %s and %s: %+v", ms, n.APIName, other, n.EventID, e.Names["c1"])
				}
				if other, bears := byEvent[n.EventID]; bears {
					t.Fatalf("at %d ms %s bears %q and %q: %+v", ms, n.EventID, other, n.APIName, e.Names["c1"])
				}
				byName[n.APIName], byEvent[n.EventID] = n.EventID, n.APIName
			}
		}
	})
}

// TestImportedNamesBelongToOneEvent imports random lines twice each; whatever was there
// and whatever their order, a name belongs to at most one event at a moment (R3), what was
// accepted is there, and what was refused has changed nothing.
func TestImportedNamesBelongToOneEvent(t *testing.T) {
	ms := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Millisecond) }
	line := rapid.Custom(func(t *rapid.T) EventName {
		n := EventName{
			CustomerID: "c1",
			EventID:    rapid.SampledFrom([]string{"e1", "e2", "e3"}).Draw(t, "event"),
			APIName:    rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"),
			From:       ms(rapid.IntRange(0, 4).Draw(t, "from")),
		}
		if !rapid.Bool().Draw(t, "open") {
			n.To = new(n.From.Add(time.Duration(rapid.IntRange(-1, 4).Draw(t, "length")) * time.Millisecond))
		}
		return n
	})
	rapid.Check(t, func(t *rapid.T) {
		e := newEdit(noon)
		for range rapid.IntRange(1, 4).Draw(t, "imports") {
			lines := rapid.SliceOfN(line, 1, 6).Draw(t, "lines")
			before := slices.Clone(e.Names["c1"])
			errs := e.ImportNames(lines)
			accepted := map[string]EventName{} // the last one of each interval
			for i, n := range lines {
				if errs[i] == nil {
					accepted[n.key()] = n
				}
			}
			for i, n := range lines {
				was, is := find(before, n), find(e.Names["c1"], n)
				if by, any := accepted[n.key()]; any && (is == nil || !is.equal(by)) {
					t.Fatalf("%+v was accepted: %+v", by, e.Names["c1"])
				} else if !any && ((was == nil) != (is == nil) || was != nil && !was.equal(*is)) {
					t.Fatalf("%+v was refused (%v): before %+v, now %+v", n, errs[i], was, is)
				}
				if _, any := accepted[n.key()]; !any && errs[i] != nil {
					others := slices.DeleteFunc(slices.Clone(e.Names["c1"]), func(o EventName) bool { return o.key() == n.key() })
					if n.fits(others) == nil {
						t.Fatalf("%+v was refused (%v), and fits: %+v", n, errs[i], e.Names["c1"])
					}
				}
				if errs[i] == nil && n.To != nil && n.To.Before(n.From) {
					t.Fatalf("%+v ends before it begins, and was accepted", n)
				}
			}
			for at := range 12 {
				byName := map[string]string{}
				for _, n := range e.Names["c1"] {
					if n.From.After(ms(at)) || !ms(at).Before(n.end()) {
						continue
					}
					if other, taken := byName[n.APIName]; taken && other != n.EventID {
						t.Fatalf("at %d ms %q belongs to %s and %s: %+v", at, n.APIName, other, n.EventID, e.Names["c1"])
					}
					byName[n.APIName] = n.EventID
				}
			}
			written := len(e.names)
			e.ImportNames(lines)
			if len(e.names) != written {
				t.Fatalf("the same lines again: %+v are written", e.names[written:])
			}
		}
	})
}

func find(names []EventName, n EventName) *EventName {
	for i := range names {
		if names[i].key() == n.key() {
			return &names[i]
		}
	}
	return nil
}

// TestRenamedTwiceInOneMillisecond: intervals that begin and end at one moment must
// not hide the one that holds.
func TestRenamedTwiceInOneMillisecond(t *testing.T) {
	e := newEdit(noon)
	if _, err := e.AddEvent("c1", "a", "e1", noon); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "a", "b", "a"} {
		if err := e.RenameEvent("c1", "e1", name); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b"} {
		if _, err := e.AddEvent("c1", name, "e1", noon); !errors.Is(err, refuse.Conflict) {
			t.Errorf("a second name for e1, %q, gives %v", name, err)
		}
	}
}

func TestOptimizations(t *testing.T) {
	e := newEdit(noon)
	put := func(baseline string, ids ...string) error {
		var variations []Variation
		for _, id := range ids {
			variations = append(variations, Variation{VariationID: id, IsBaseline: id == baseline, Weight: 1})
		}
		return e.PutOptimization(Optimization{CustomerID: "c1", OptimizationID: "o1", Name: "o1"}, variations)
	}
	if err := put("", "a", "b"); err != nil {
		t.Fatal(err)
	}
	if v := e.VariationsOf("c1", "o1"); len(v) != 2 || !v[0].IsBaseline || v[1].IsBaseline {
		t.Errorf("without a baseline: %+v", v)
	}
	if err := put("c", "b", "c"); err != nil {
		t.Fatal(err)
	}
	if v := e.VariationsOf("c1", "o1"); len(v) != 2 || v[0].VariationID != "b" || !v[1].IsBaseline {
		t.Errorf("replaced: %+v", v)
	}
	for _, ids := range [][]string{{}, {"a", "a"}, {""}} {
		if err := put("", ids...); !errors.Is(err, refuse.Invalid) {
			t.Errorf("%v gives %v", ids, err)
		}
	}
	for _, name := range []string{"one", "two"} {
		if _, err := e.AddEvent("c1", name, name, noon); err != nil {
			t.Fatal(err)
		}
		if err := e.AddGoal(Goal{CustomerID: "c1", OptimizationID: "o1", EventID: name, IsPrimary: true}); err != nil {
			t.Fatal(err)
		}
	}
	if g := e.GoalsOf("c1", "o1"); len(g) != 2 || g[0].EventID != "two" || !g[0].IsPrimary || g[1].IsPrimary {
		t.Errorf("goals: %+v", g)
	}
	if err := e.RemoveGoal("c1", "o1", "two"); err != nil || len(e.GoalsOf("c1", "o1")) != 1 {
		t.Errorf("removed: %v %+v", err, e.GoalsOf("c1", "o1"))
	}
}

func TestOrigins(t *testing.T) {
	e := newEdit(noon)
	if err := e.SetOrigins("c1", []string{"HTTPS://www.Example.com:443", "https://*.shop.example", "http://*.dev.example:8080"}); err != nil {
		t.Fatal(err)
	}
	account := e.Accounts["c1"]
	for origin, allowed := range map[string]bool{
		"": true, "https://www.example.com": true, "https://app.example.com": false, "http://www.example.com": false,
		"https://a.shop.example": true, "https://a.b.shop.example": true, "https://shop.example": false, "https://.shop.example": false,
		"https://evilshop.example": false, "http://a.shop.example": false, "https://a.shop.example:8443": false, "https://a.shop.example.evil.com": false,
		"http://x.dev.example:8080": true, "http://x.dev.example": false, "null": false, "https://": false,
	} {
		if account.AllowsOrigin(origin) != allowed {
			t.Errorf("%q is allowed: %v, of %v", origin, !allowed, account.Origins)
		}
	}
	for _, wrong := range []string{"*", "https://*", "https://*.", "https://a.*.example", "https://**.example", "*.example.com", "ftp://*.example.com", "https://*.example.com/", "example.com", ""} {
		if err := e.SetOrigins("c1", []string{wrong}); !errors.Is(err, refuse.Invalid) {
			t.Errorf("%q gives %v", wrong, err)
		}
	}
}

// TestRefreshDoesNotOutlastItsCaller: a caller who can wait for a moment only must not wait for
// somebody else's read of a ClickHouse that does not answer.
func TestRefreshDoesNotOutlastItsCaller(t *testing.T) {
	live := &Live{reading: make(chan struct{}, 1)}
	live.reading <- struct{}{} // somebody reads, and never ends
	ended, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := live.Refresh(ended); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// TestRules holds intervals of rules to a rule for each moment: setting one from a moment on replaces all
// that was set from then on (R3).
func TestRules(t *testing.T) {
	const moments = 8
	ms := func(n int) time.Time { return time.UnixMilli(1_790_000_000_000 + int64(n)).UTC() }
	rule := rapid.Custom(func(t *rapid.T) Rule {
		return Rule{WindowDays: rapid.SampledFrom([]uint16{0, 0, 1, 30}).Draw(t, "window"), Credit: rapid.SampledFrom([]string{CreditLast, CreditFirst}).Draw(t, "credit")}
	})
	rapid.Check(t, func(t *rapid.T) {
		e := newEdit(ms(moments))
		if err := e.PutName(EventName{CustomerID: "c", EventID: "e", APIName: "a", From: ms(0)}); err != nil {
			t.Fatal(err)
		}
		want := make([]Rule, moments)
		for i := range want {
			want[i] = DefaultRule
		}
		for range rapid.IntRange(1, 8).Draw(t, "changes") {
			r, from := rule.Draw(t, "rule"), rapid.IntRange(0, moments-1).Draw(t, "from")
			if err := e.SetRule("c", "e", r, ms(from)); err != nil {
				t.Fatal(err)
			}
			for i := from; i < moments; i++ {
				want[i] = r
			}
			for i := range want {
				if got := e.RuleAt("c", "e", ms(i)); got != want[i] {
					t.Fatalf("at %d the rule is %v, expected %v: %v", i, got, want[i], e.Rules["c"]["e"])
				}
			}
			rules := e.RulesOf("c", "e")
			for i := range rules {
				if i > 0 && (rules[i-1].end().After(rules[i].From) || rules[i-1].Rule == rules[i].Rule && rules[i-1].end().Equal(rules[i].From)) {
					t.Fatalf("intervals overlap, or go on as they are: %v", rules)
				}
			}
			before := e.Changes()
			if err := e.SetRule("c", "e", r, ms(from)); err != nil || e.Changes() != before {
				t.Fatalf("set again: %d changes (%v)", e.Changes()-before, err)
			}
			keys := map[string]int{}
			for _, r := range e.rules {
				if keys[r.From.String()]++; keys[r.From.String()] > 1 {
					t.Fatalf("two rows of one key in one change: %v", e.rules)
				}
			}
		}
	})
}

func TestRulesThatAreNone(t *testing.T) {
	for _, window := range []string{"", "0d", "91d", "30", "d", "-1d", "1.5d", "030d", "+3d", "Session", "30 d"} {
		if rule, err := ParseRule(window, "last"); err == nil {
			t.Errorf("the window %q is taken for %v", window, rule)
		}
	}
	if _, err := ParseRule("1d", "middle"); err == nil {
		t.Error("the credit middle is taken")
	}
	now := time.UnixMilli(1_790_000_000_000).UTC()
	e := newEdit(now)
	if err := e.PutName(EventName{CustomerID: "c", EventID: "e", APIName: "a", From: now}); err != nil {
		t.Fatal(err)
	}
	if err := e.SetRule("c", "e", Rule{30, CreditLast}, now.Add(time.Millisecond)); err == nil || !strings.Contains(err.Error(), "future") {
		t.Errorf("a rule of the future gives %v", err)
	}
	if err := e.SetRule("c", "other", Rule{30, CreditLast}, now); err == nil || !strings.Contains(err.Error(), "no event other") {
		t.Errorf("a rule of no event gives %v", err)
	}
}

// TestImportRules: whatever the order of the lines, the same From replaces, and of two that overlap
// the one that is there stays, else the one that begins first.
func TestImportRules(t *testing.T) {
	ms := func(n int) time.Time { return time.UnixMilli(1_790_000_000_000 + int64(n)).UTC() }
	line := func(window uint16, from, to int) EventRule {
		r := EventRule{CustomerID: "c", EventID: "e", Rule: Rule{window, CreditLast}, From: ms(from)}
		if to > 0 {
			r.To = new(ms(to))
		}
		return r
	}
	for _, c := range []struct {
		there, lines []EventRule
		want, bad    string
	}{
		{nil, []EventRule{line(2, 5, 0), line(1, 0, 5)}, "0-5 1d, 5- 2d", "[]"},
		{nil, []EventRule{line(2, 5, 0), line(1, 0, 6)}, "0-6 1d", "[0]"},
		{nil, []EventRule{line(1, 0, 6), line(2, 5, 0)}, "0-6 1d", "[1]"},
		{nil, []EventRule{line(1, 0, 6), line(2, 0, 3), line(3, 3, 0)}, "0-3 2d, 3- 3d", "[]"},
		{[]EventRule{line(1, 5, 0)}, []EventRule{line(2, 0, 0)}, "5- 1d", "[0]"},
		{[]EventRule{line(1, 5, 0)}, []EventRule{line(2, 5, 9)}, "5-9 2d", "[]"},
		{nil, []EventRule{line(1, 5, 5)}, "", "[0]"},
		{nil, []EventRule{line(91, 5, 0)}, "", "[0]"},
	} {
		e := newEdit(ms(20))
		if errs := e.ImportRules(c.there); errors.Join(errs...) != nil {
			t.Fatal(errs)
		}
		bad := []int{}
		for i, err := range e.ImportRules(c.lines) {
			if err != nil {
				bad = append(bad, i)
			}
		}
		var got []string
		for _, r := range e.RulesOf("c", "e") {
			text := fmt.Sprintf("%d-", r.From.Sub(ms(0)).Milliseconds())
			if r.To != nil {
				text += fmt.Sprint(r.To.Sub(ms(0)).Milliseconds())
			}
			got = append(got, text+" "+r.Window())
		}
		if strings.Join(got, ", ") != c.want || fmt.Sprint(bad) != c.bad {
			t.Errorf("%v, then %v: %q without %v, expected %q without %s", c.there, c.lines, strings.Join(got, ", "), bad, c.want, c.bad)
		}
	}
}
