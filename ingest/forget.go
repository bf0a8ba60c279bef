package ingest

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"slices"

	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/warehouse"
)

// Forgotten is by what a person's rows are known: the visitors of whom everything goes, a user id, and conversions.
type Forgotten struct {
	CustomerID         string
	Visitors           []string
	UserDomain, UserID string // empty for a visitor
	Conversions        map[ConversionKey]bool
}

// Forget deletes what a data folder holds of a person outside the tables: events in the spool that are in ClickHouse by now, and dead
// letters. What is not in ClickHouse yet stays, so the spool should be drained before.
func Forget(spoolDir string, letters *DeadLetters, who Forgotten) error {
	texts := append(slices.Clone(who.Visitors), who.UserID)
	if err := spool.Wipe(spoolDir, texts...); err != nil {
		return err
	}
	if _, err := letters.Forget(func(l *DeadLetter) bool { return who.has(l) || l.Table == "record" && holds(l.Row, texts) }); err != nil {
		return fmt.Errorf("forget dead letters: %w", err)
	}
	return nil
}

// has reports whether a dead letter is a row of the person.
func (who *Forgotten) has(l *DeadLetter) bool {
	switch l.Table {
	case "client_events":
		var e warehouse.ClientEvent
		return stdjson.Unmarshal(l.Row, &e) == nil && e.CustomerID == who.CustomerID && (slices.Contains(who.Visitors, e.VisitorID) || who.isUser(e.UserDomain, e.UserID))
	case "conversions":
		var c warehouse.Conversion
		return stdjson.Unmarshal(l.Row, &c) == nil && c.CustomerID == who.CustomerID && who.isUser(c.UserDomain, c.UserID)
	case "adjustments":
		var a warehouse.Adjustment
		return stdjson.Unmarshal(l.Row, &a) == nil && a.CustomerID == who.CustomerID && who.Conversions[ConversionKey{a.APIName, a.ActionID}]
	}
	return false
}

func (who *Forgotten) isUser(domain, id string) bool {
	return who.UserID != "" && domain == who.UserDomain && id == who.UserID
}

// holds reports whether a record that can't be read has one of the texts in it, as it is or as bytes in base64.
func holds(row stdjson.RawMessage, texts []string) bool {
	var record []byte
	_ = stdjson.Unmarshal(row, &record) // else it is empty
	return slices.ContainsFunc(texts, func(text string) bool {
		return text != "" && (bytes.Contains(record, []byte(text)) || bytes.Contains(row, []byte(text)))
	})
}
