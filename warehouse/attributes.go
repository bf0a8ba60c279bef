package warehouse

import (
	"maps"
	"slices"

	chcolumn "github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Attributes are what a page said of a visitor, as a JSON object of texts in the order of their names without spaces;
// empty for none. As one text they compare, and stand in the spool and in ids, as they are.
type Attributes string

// AttributesOf writes pairs of names and texts as Attributes.
func AttributesOf(pairs map[string]string) Attributes {
	if len(pairs) == 0 {
		return ""
	}
	text := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(pairs)) {
		text = append(text, ","[:min(i, 1)]...)
		text, _ = jsontext.AppendQuote(text, name) // bad UTF-8 becomes U+FFFD
		text = append(text, ':')
		text, _ = jsontext.AppendQuote(text, pairs[name])
	}
	return Attributes(append(text, '}'))
}

// Pairs are the names and texts.
func (a Attributes) Pairs() map[string]string {
	if a == "" {
		return nil
	}
	var pairs map[string]string
	_ = json.Unmarshal([]byte(a), &pairs) // AttributesOf wrote it
	return pairs
}

// attributePairs are the pairs of rows, in the order of their names. Most rows share theirs.
func attributePairs(rows []ClientEvent) []*pairs {
	shared := map[Attributes]*pairs{}
	all := make([]*pairs, len(rows))
	for i := range rows {
		text := rows[i].Attributes
		if shared[text] == nil {
			of := text.Pairs()
			shared[text] = &pairs{names: slices.Sorted(maps.Keys(of)), texts: of}
		}
		all[i] = shared[text]
	}
	return all
}

// pairs are a Map for clickhouse-go, which gives its own no order: rows that are alike would differ.
type pairs struct {
	names []string
	texts map[string]string
}

// Put is for reading, which nobody does.
func (p *pairs) Put(name, text any) {}

// Iterator begins before the first pair.
func (p *pairs) Iterator() chcolumn.MapIterator { return &pairIterator{p, -1} }

type pairIterator struct {
	*pairs
	at int
}

func (i *pairIterator) Next() bool { i.at++; return i.at < len(i.names) }
func (i *pairIterator) Key() any   { return i.names[i.at] }
func (i *pairIterator) Value() any { return i.texts[i.names[i.at]] }
