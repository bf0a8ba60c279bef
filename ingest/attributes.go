package ingest

import (
	"cmp"
	"regexp"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tieback/tieback/warehouse"
)

// Limits of the attributes of a batch (docs/snippet.md).
const (
	maxAttributes     = 10
	maxAttributeBytes = 64
)

var attributeName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// ReadAttributes reads an object of names and texts. What can't be kept is left out and named in bad: names and texts that
// are not allowed, and those over the limit in the order of the names. An empty text is the same as none.
func ReadAttributes(raw []byte) (attributes warehouse.Attributes, bad []string) {
	var given map[string]jsontext.Value
	if jsontext.Value(raw).Kind() != '{' || json.Unmarshal(raw, &given) != nil {
		return "", []string{"attributes"}
	}
	names := make([]string, 0, len(given))
	for name := range given {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare[string])
	kept := map[string]string{}
	for _, name := range names {
		var text string
		value := given[name]
		switch {
		case value.Kind() == 'n':
		case !attributeName.MatchString(name) || value.Kind() != '"' || json.Unmarshal(value, &text) != nil || len(text) > maxAttributeBytes:
			bad = append(bad, name)
		case text == "":
		case len(kept) == maxAttributes:
			bad = append(bad, name)
		default:
			kept[name] = text
		}
	}
	return warehouse.AttributesOf(kept), bad
}
