package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// AddEvent makes an event that bears apiName since from; an empty eventID is made
// up. It returns the event's id.
func (e *Edit) AddEvent(customerID, apiName, eventID string, from time.Time) (string, error) {
	if err := e.PutAccount(customerID, nil); err != nil {
		return "", err
	}
	if eventID == "" {
		eventID = "evt_" + strings.ReplaceAll(uuid.Must(uuid.NewV7()).String(), "-", "")
	}
	if name, bears := borneAfter(e.Names[customerID], eventID, from); bears {
		return "", fmt.Errorf("%w: account %s has an event %s already, named %q since %s; `tieback event rename` changes its name",
			ErrConflict, customerID, eventID, name.APIName, name.From.Format(time.RFC3339Nano))
	}
	return eventID, e.PutName(EventName{CustomerID: customerID, EventID: eventID, APIName: apiName, From: from})
}

// RenameEvent gives an event another name from now on (R3).
func (e *Edit) RenameEvent(customerID, eventID, newName string) error {
	name, err := e.currentName(customerID, eventID)
	if err != nil {
		return err
	}
	if name.APIName == newName {
		return fmt.Errorf("%w: event %s bears the name %q already", ErrConflict, eventID, newName)
	}
	next := EventName{CustomerID: customerID, EventID: eventID, APIName: newName, From: e.endOf(name)}
	if by, taken := takenBy(e.Names[customerID], next); taken {
		return nameTakenError(next, by)
	}
	if err := e.endNames(customerID, eventID, next.From); err != nil {
		return err
	}
	return e.PutName(next)
}

// ArchiveEvent frees an event's name from now on (R3).
func (e *Edit) ArchiveEvent(customerID, eventID string) error {
	name, err := e.currentName(customerID, eventID)
	if err != nil {
		return err
	}
	return e.endNames(customerID, eventID, e.endOf(name))
}

func (e *Edit) currentName(customerID, eventID string) (EventName, error) {
	names := e.Names[customerID]
	name, ok := current(names, eventID)
	if !ok {
		if _, exists := known(names, eventID); exists {
			return EventName{}, fmt.Errorf("%w: event %s of account %s is archived", ErrNotFound, eventID, customerID)
		}
		return EventName{}, fmt.Errorf("%w: account %s has no event %s; `tieback event list %s` shows them", ErrNotFound, customerID, eventID, customerID)
	}
	return name, nil
}

// endNames ends every name that the event bears: an import may have given it several.
func (e *Edit) endNames(customerID, eventID string, at time.Time) error {
	for _, name := range slices.Clone(e.Names[customerID]) {
		if name.EventID == eventID && name.To == nil {
			end := at
			if name.From.After(at) {
				end = name.From
			}
			name.To = &end
			if err := e.PutName(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// ImportNames puts intervals, of which later ones replace earlier ones with the same
// event, name and From, whatever their order. It returns an error for each that would
// make a name belong to two events, nil for the others.
func (e *Edit) ImportNames(names []EventName) []error {
	replacedBy := map[string]int{} // the last of each interval
	for i, n := range names {
		replacedBy[n.key()] = i
	}
	before := map[string]EventName{} // what is in the catalog of those intervals
	for customerID, list := range e.Names {
		e.Names[customerID] = slices.DeleteFunc(slices.Clone(list), func(n EventName) bool {
			_, again := replacedBy[n.key()]
			if again {
				before[n.key()] = n
			}
			return again
		})
	}
	errs := make([]error, len(names))
	for i, n := range names {
		if replacedBy[n.key()] != i {
			continue
		}
		old, existed := before[n.key()]
		if existed && old.end().Equal(n.end()) && (old.To == nil) == (n.To == nil) {
			// Nothing changes, so nothing is written.
			if _, taken := takenBy(e.Names[n.CustomerID], n); !taken {
				e.Names[n.CustomerID] = putName(e.Names[n.CustomerID], old)
				continue
			}
		}
		if errs[i] = e.PutName(n); errs[i] != nil && existed {
			e.Names[n.CustomerID] = putName(e.Names[n.CustomerID], old)
		}
	}
	return errs
}

// endOf is the moment at which a name ends that is given up now: one that has not
// begun yet never begins.
func (e *Edit) endOf(name EventName) time.Time {
	if name.From.After(e.now) {
		return name.From
	}
	return e.now
}

// PutName adds an interval or replaces the one of the same event, name and From.
func (e *Edit) PutName(n EventName) error {
	if err := checkID("the event's id", n.EventID); err != nil {
		return err
	}
	if err := checkID("the event's apiName", n.APIName); err != nil {
		return err
	}
	if n.To != nil && n.To.Before(n.From) {
		return fmt.Errorf("%w: the name %q ends (%s) before it begins (%s)", ErrInvalid, n.APIName, n.To.Format(time.RFC3339Nano), n.From.Format(time.RFC3339Nano))
	}
	if by, taken := takenBy(e.Names[n.CustomerID], n); taken {
		return nameTakenError(n, by)
	}
	if err := e.PutAccount(n.CustomerID, nil); err != nil {
		return err
	}
	e.Names[n.CustomerID] = putName(e.Names[n.CustomerID], n)
	e.names = append(e.names, n)
	if n.To == nil {
		e.note(n.CustomerID, "event %s bears the name %q from %s", n.EventID, n.APIName, n.From.Format(time.RFC3339Nano))
	} else {
		e.note(n.CustomerID, "event %s bears the name %q from %s to %s", n.EventID, n.APIName, n.From.Format(time.RFC3339Nano), n.To.Format(time.RFC3339Nano))
	}
	return nil
}
