package ingest

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/bits"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/shopspring/decimal"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/warehouse"
)

// warning says that an accepted conversion will probably not do what its sender means.
type warning struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// appendWarnings appends them as the last field of an object, nothing where there are none.
func appendWarnings(buf []byte, warnings []warning) []byte {
	if len(warnings) == 0 {
		return buf
	}
	text, err := json.Marshal(warnings)
	if err != nil {
		panic(fmt.Sprintf("encode %v: %v", warnings, err)) // texts of valid UTF-8 alone
	}
	return append(append(buf, `,"warnings":`...), text...)
}

// warnings looks at a conversion that was accepted, and is stored by now unless it is tried only.
func (s *Server) warnings(body *sent, c *warehouse.Conversion, stored bool) (list []warning) {
	if message := s.names.undefined(s.cfg.Catalog, c, s.cfg.Now); message != "" {
		list = append(list, warning{body.nameField(), "event_not_defined", message})
	}
	list = body.textWarnings(list, [][2]string{{body.nameField(), c.APIName}, {"userDomain", c.UserDomain}, {"userId", c.UserID}, {"actionId", c.ActionID}})
	if s.earlier.differs(c, stored) {
		list = append(list, warning{"actionId", "differs_from_earlier", fmt.Sprintf(
			"a conversion with this apiName and actionId %s was received before with another user, moment or value; the first one counts, this one will be a duplicate", human.Quote(c.ActionID))})
	}
	return list
}

// textWarnings warns of spaces around ids, which come as field and text, and of fields that are ignored.
func (body *sent) textWarnings(list []warning, ids [][2]string) []warning {
	for _, id := range ids {
		if surrounded(id[1]) {
			list = append(list, warning{id[0], "surrounding_space", fmt.Sprintf("%s %s begins or ends with white space, which counts", id[0], human.Quote(id[1]))})
		}
	}
	for _, field := range body.ignored {
		list = append(list, warning{field, "ignored_field", fmt.Sprintf("the field %s is ignored; the one that is read is called %s", human.Quote(field), IgnoredField(field))})
	}
	return list
}

// nameField is what the sender calls the event's name.
func (body *sent) nameField() string {
	if body.byNickname {
		return "eventName"
	}
	return "apiName"
}

// surrounded reports whether a text begins or ends with white space.
func surrounded(text string) bool {
	if text == "" {
		return false
	}
	first, last := text[0], text[len(text)-1]
	if first > ' ' && first < utf8.RuneSelf && last > ' ' && last < utf8.RuneSelf {
		return false
	}
	begins, _ := utf8.DecodeRuneInString(text)
	ends, _ := utf8.DecodeLastRuneInString(text)
	return unicode.IsSpace(begins) || unicode.IsSpace(ends)
}

// unknownNames finds the names that no event bears, and looks again for those that may be new.
type unknownNames struct {
	mu      sync.Mutex
	refresh map[string]time.Time // by account: when the catalog was last read again for it
}

const (
	// namePatience is how long an answer waits for the catalog to be read again for an unknown
	// name, and nameInterval how often an account makes that happen.
	namePatience = 250 * time.Millisecond
	nameInterval = time.Second
	// mostAccounts bounds the memory; beyond it all are forgotten.
	mostAccounts = 10_000
)

// undefined says in words that no event bore the conversion's name when it happened, empty
// where one did (R3).
func (u *unknownNames) undefined(cat Catalog, c *warehouse.Conversion, now func() time.Time) string {
	at := time.UnixMilli(c.ActionAtMS)
	message := nameMiss(cat.Snapshot(), c.CustomerID, c.APIName, at)
	if message == "" || !u.due(c.CustomerID, now()) {
		return message
	}
	ctx, cancel := context.WithTimeout(context.Background(), namePatience)
	defer cancel()
	if cat.Refresh(ctx) != nil {
		return message // as things were when the catalog was last read
	}
	return nameMiss(cat.Snapshot(), c.CustomerID, c.APIName, at)
}

// due reports whether the catalog is to be read again for an account.
func (u *unknownNames) due(customerID string, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.refresh[customerID]).Abs() < nameInterval {
		return false
	}
	if u.refresh == nil || len(u.refresh) >= mostAccounts {
		u.refresh = map[string]time.Time{}
	}
	u.refresh[strings.Clone(customerID)] = now // it is a part of the body
	return true
}

func nameMiss(snap *catalog.Snapshot, customerID, apiName string, at time.Time) string {
	found := snap.LookUpName(customerID, apiName, at)
	switch {
	case found.EventID != "":
		return ""
	case found.Near != "":
		return fmt.Sprintf("no event bears the name %s; one bears %s, and names must be equal byte for byte", human.Quote(apiName), human.Quote(found.Near))
	case found.Borne:
		return fmt.Sprintf("no event bore the name %s at %s, though one does or did at another time", human.Quote(apiName), human.Moment(at))
	default:
		return fmt.Sprintf("no event bears the name %s", human.Quote(apiName))
	}
}

// earlier remembers the last million or so conversions by hashes: enough to notice that a key
// comes again with something else. Each slot holds a part of a key's hash and a part of the
// content's, so that it takes 8 MB whatever is sent, and no lock.
type earlier struct {
	seed  maphash.Seed
	slots []atomic.Uint64
}

const earlierSlots = 1 << 20

func newEarlier() earlier {
	return earlier{maphash.MakeSeed(), make([]atomic.Uint64, earlierSlots)}
}

// differs reports whether the first conversion of that key that is remembered had another user,
// moment or value, and remembers one that is stored.
func (e *earlier) differs(c *warehouse.Conversion, stored bool) bool {
	key := e.key(c.CustomerID, c.APIName, c.ActionID)
	content := mix(e.hash(e.hash(key, c.UserDomain), c.UserID), uint64(c.ActionAtMS))
	if c.Value.Valid {
		content = mix(content, 1+uint64(tenThousandths(c.Value.Decimal)))
	}
	const low = 1<<32 - 1
	slot, now := &e.slots[key%earlierSlots], key&^uint64(low)|content&low
	before := slot.Load()
	same := before&^uint64(low) == now&^uint64(low) && before != 0
	if stored && !same {
		slot.Store(now)
	}
	return same && before != now
}

func (e *earlier) key(customerID, apiName, actionID string) uint64 {
	return e.hash(e.hash(e.hash(0, customerID), apiName), actionID)
}

// remembers reports whether a conversion of that key was received that is not forgotten.
func (e *earlier) remembers(customerID, apiName, actionID string) bool {
	const low = 1<<32 - 1
	key := e.key(customerID, apiName, actionID)
	before := e.slots[key%earlierSlots].Load()
	return before != 0 && before&^uint64(low) == key&^uint64(low)
}

func (e *earlier) hash(sum uint64, text string) uint64 {
	return mix(sum, maphash.String(e.seed, text))
}

// mix joins two hashes, whose order counts.
func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a^0x9e3779b97f4a7c15, b|1)
	return high ^ low ^ b
}

// tenThousandths is an accepted value, however it was written.
func tenThousandths(value decimal.Decimal) int64 {
	if value.Exponent() != -4 {
		value = value.Shift(4)
		return value.IntPart()
	}
	return value.CoefficientInt64()
}
