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
// event, name and From, whatever their order. It returns an error for each that is none, or
// would make a name belong to two events (R3), nil for the others. One that is refused leaves
// what it was to replace.
func (e *Edit) ImportNames(names []EventName) []error {
	for {
		// What one round has put may let a line in that it refused: without another one,
		// importing the same lines again would change something.
		written := len(e.names)
		if errs := e.importNames(names); len(e.names) == written {
			return errs
		}
	}
}

// importNames is a round of ImportNames. What is accepted in one stays so in the next.
func (e *Edit) importNames(names []EventName) []error {
	existing := map[string]EventName{}
	for _, list := range e.Names {
		for _, n := range list {
			existing[n.key()] = n
		}
	}
	errs := make([]error, len(names))
	changing := map[string]int{} // the last of each interval, if it is not there already
	for i, n := range names {
		if errs[i] = n.valid(); errs[i] == nil {
			changing[n.key()] = i
		}
	}
	for key, i := range changing {
		if old, exists := existing[key]; exists && old.equal(names[i]) {
			delete(changing, key)
		}
	}
	// What a refused one leaves may in turn refuse another: repeat until nothing changes.
	for settled := false; !settled; {
		settled = true
		placed := e.namesWithout(changing)
		for i, n := range names {
			if at, changes := changing[n.key()]; !changes || at != i {
				continue
			}
			if errs[i] = n.fits(placed[n.CustomerID]); errs[i] == nil {
				placed[n.CustomerID] = putName(placed[n.CustomerID], n)
			} else if _, exists := existing[n.key()]; exists {
				delete(changing, n.key())
				settled = false
			}
		}
	}
	e.Names = e.namesWithout(changing)
	for i, n := range names {
		if at, changes := changing[n.key()]; changes && at == i && errs[i] == nil {
			errs[i] = e.PutName(n)
		}
	}
	e.secondChance(names, errs)
	return errs
}

// secondChance puts what was refused only for one that was refused itself, or else the line
// before it of the same interval. It leaves in errs why the others are refused.
func (e *Edit) secondChance(names []EventName, errs []error) {
	there := map[string]EventName{}
	for _, list := range e.Names {
		for _, n := range list {
			there[n.key()] = n
		}
	}
	decided := map[string]bool{} // intervals that are as one of their lines says
	for i, n := range slices.Backward(names) {
		key := n.key()
		if is, exists := there[key]; decided[key] || exists && is.equal(n) {
			decided[key] = true
			continue
		}
		others := slices.DeleteFunc(slices.Clone(e.Names[n.CustomerID]), func(o EventName) bool { return o.key() == key })
		if errs[i] = n.fits(others); errs[i] == nil {
			e.Names[n.CustomerID] = others
			errs[i] = e.PutName(n)
			decided[key] = true
		}
	}
}

// namesWithout returns all names but those intervals.
func (e *Edit) namesWithout(keys map[string]int) map[string][]EventName {
	names := make(map[string][]EventName, len(e.Names))
	for customerID, list := range e.Names {
		names[customerID] = slices.DeleteFunc(slices.Clone(list), func(n EventName) bool {
			_, without := keys[n.key()]
			return without
		})
	}
	return names
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
		return fmt.Errorf("%w: the name %q ends (%s) before it begins (%s)", ErrInvalid, n.APIName, n.To.Format(time.RFC3339Nano), n.From.Format(time.RFC3339Nano))
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
