package catalog_test

import (
	"testing"
	"time"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/warehouse/warehousetest"
)

func TestMain(m *testing.M) { warehousetest.Main(m) }

// TestChangeThatIsCutOff writes all rows of a change but the last, as one does that is killed: it
// must not count, neither by itself nor once another change has been made.
func TestChangeThatIsCutOff(t *testing.T) {
	db := warehousetest.Open(t)
	store := catalog.NewStore(db, time.Now)
	optimization := func(name string, variations ...string) func(*catalog.Edit) error {
		return func(e *catalog.Edit) error {
			var list []catalog.Variation
			for _, id := range variations {
				list = append(list, catalog.Variation{VariationID: id, Name: id, Weight: 1})
			}
			return e.PutOptimization(catalog.Optimization{CustomerID: "c1", OptimizationID: "hero", Name: name}, list)
		}
	}
	change := func(edit func(*catalog.Edit) error) {
		t.Helper()
		if err := store.Change(t.Context(), "test", edit); err != nil {
			t.Fatal(err)
		}
	}
	change(optimization("Hero", "a", "b"))
	change(func(e *catalog.Edit) error { _, err := e.AddToken("c1", "main"); return err })
	before, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The parts of one change that removes b, and of one that revokes the token.
	for _, statement := range []string{
		"insert into catalog_optimizations select * replace ('Cut' as name, version + 5 as version) from catalog_optimizations",
		"insert into catalog_variations select * replace (1 as is_deleted, version + 5 as version) from catalog_variations where variation_id = 'b'",
		"insert into catalog_tokens select * replace (now64(3) as revoked_at, version + 5 as version) from catalog_tokens",
	} {
		if err := db.Exec(t.Context(), statement, nil); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(when string) {
		t.Helper()
		snap, err := store.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(snap.VariationsOf("c1", "hero")) != 2 || snap.Optimizations["c1"]["hero"].Name != "Hero" || snap.TokensOf("c1")[0].RevokedAt != nil {
			t.Errorf("%s: %+v %+v %+v", when, snap.Optimizations, snap.VariationsOf("c1", "hero"), snap.TokensOf("c1"))
		}
		var shown string
		err = db.Row(t.Context(), "select toString(((select count() from variations), (select name from optimizations), (select count() from accounts)))", nil, &shown)
		if err != nil || shown != "(2,'Hero',1)" {
			t.Errorf("%s, analysts see %s, %v", when, shown, err)
		}
	}
	holds("cut off")
	for range 6 { // past the versions of what was cut off
		change(func(e *catalog.Edit) error { return e.SetOrigins("c1", nil) })
		change(func(e *catalog.Edit) error { e.Remark("c1", "something else"); return nil })
	}
	holds("after other changes")
	if after, err := store.Load(t.Context()); err != nil || after.Version <= before.Version {
		t.Errorf("version %d, then %d, %v", before.Version, after.Version, err)
	}
	change(optimization("Hero", "a"))
	if snap, err := store.Load(t.Context()); err != nil || len(snap.VariationsOf("c1", "hero")) != 1 {
		t.Errorf("a whole change does not count: %v", err)
	}
}
