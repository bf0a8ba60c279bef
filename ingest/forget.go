package ingest

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"

	"github.com/tieback/tieback/ingest/spool"
	"github.com/tieback/tieback/warehouse"
)

// Forget deletes what a data folder holds of a person besides the tables: events in the spool that are in ClickHouse by now, and dead
// letters. What is not in ClickHouse yet stays, so the spool should be drained before. visitorID is empty for a user id.
func Forget(spoolDir string, letters *DeadLetters, customerID, visitorID, userDomain, userID string) error {
	if err := spool.Wipe(spoolDir, visitorID, userID); err != nil {
		return err
	}
	_, err := letters.Forget(func(l *DeadLetter) bool {
		switch l.Table {
		case "client_events":
			var e warehouse.ClientEvent
			if stdjson.Unmarshal(l.Row, &e) == nil {
				return e.CustomerID == customerID && (visitorID != "" && e.VisitorID == visitorID || visitorID == "" && e.UserDomain == userDomain && e.UserID == userID)
			}
		case "conversions":
			var c warehouse.Conversion
			if stdjson.Unmarshal(l.Row, &c) == nil {
				return c.CustomerID == customerID && visitorID == "" && c.UserDomain == userDomain && c.UserID == userID
			}
		case "adjustments":
			return false // it names nobody
		}
		return holds(l.Row, visitorID+userID)
	})
	if err != nil {
		return fmt.Errorf("forget dead letters: %w", err)
	}
	return nil
}

// holds reports whether a row that can't be read has a text in it, as it is or as bytes in base64, which it is
// decoded from.
func holds(row stdjson.RawMessage, text string) bool {
	var record []byte
	if stdjson.Unmarshal(row, &record) == nil && bytes.Contains(record, []byte(text)) {
		return true
	}
	return bytes.Contains(row, []byte(text))
}
