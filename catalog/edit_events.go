package catalog

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tieback/tieback/refuse"
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
	if from.After(e.now) {
		return "", refuse.Invalidf("%s lies in the future; an event can be added from now or from a moment in the past on", from.Format(time.RFC3339Nano))
	}
	if name, bears := borneAfter(e.Names[customerID], eventID, from); bears {
		return "", refuse.Conflictf("account %s has an event %s already, named %q since %s", customerID, eventID, name.APIName, name.From.Format(time.RFC3339Nano)).Try("`tieback event rename` changes its name")
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
		return refuse.Conflictf("event %s bears the name %q already", eventID, newName)
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
			return EventName{}, refuse.NotFoundf("event %s of account %s is archived", eventID, customerID)
		}
		return EventName{}, refuse.NotFoundf("account %s has no event %s", customerID, eventID).Try("`tieback event list %s` shows them", customerID)
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

// endOf is the moment at which a name ends that is given up now: one that has not
// begun yet never begins.
func (e *Edit) endOf(name EventName) time.Time {
	if name.From.After(e.now) {
		return name.From
	}
	return e.now
}

// valid returns an error where the interval is none.
func (n EventName) valid() error {
	if err := checkID("the event's id", n.EventID); err != nil {
		return err
	}
	if err := checkID("the event's apiName", n.APIName); err != nil {
		return err
	}
	if n.To != nil && n.To.Before(n.From) {
		return refuse.Invalidf("the name %q ends (%s) before it begins (%s)", n.APIName, n.To.Format(time.RFC3339Nano), n.From.Format(time.RFC3339Nano))
	}
	return nil
}

// fits returns an error where the interval is none, or the name belongs to another event of
// the account already.
func (n EventName) fits(names []EventName) error {
	if err := n.valid(); err != nil {
		return err
	}
	if by, taken := takenBy(names, n); taken {
		return nameTakenError(n, by)
	}
	return nil
}

// PutName adds an interval or replaces the one of the same event, name and From.
func (e *Edit) PutName(n EventName) error {
	if err := n.fits(e.Names[n.CustomerID]); err != nil {
		return err
	}
	return e.place(n)
}

// place is PutName for an interval that is known to fit.
func (e *Edit) place(n EventName) error {
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
