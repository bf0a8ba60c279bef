package catalog

import (
	"maps"
	"slices"

	"github.com/tieback/tieback/refuse"
)

// What was made by mistake can be deleted. Its rows stay in the catalog's history; what was received stays where it is, and
// published days follow with the next run.

// DeleteToken ends a token's life, if it has one, and takes it out of the lists.
func (e *Edit) DeleteToken(customerID, name string) error {
	found := false
	for _, token := range e.TokensOf(customerID) {
		if token.Name != name {
			continue
		}
		found = true
		if token.RevokedAt == nil {
			token.RevokedAt = &e.now
		}
		token.IsDeleted = true
		delete(e.Tokens, token.Prefix)
		e.tokens = append(e.tokens, token)
	}
	if !found {
		return refuse.NotFoundf("account %s has no token named %q", customerID, name).Try("`tieback token list %s` shows them", customerID)
	}
	e.note(customerID, "token %q deleted", name)
	return nil
}

// DeleteEvent deletes an event with its names, its rules and its goals, as if it had never been there: conversions under its
// names are event_not_defined from the next run on, whenever they happened.
func (e *Edit) DeleteEvent(customerID, eventID string) error {
	if _, exists := known(e.Names[customerID], eventID); !exists {
		return refuse.NotFoundf("account %s has no event %s", customerID, eventID).Try("`tieback event list %s` shows them", customerID)
	}
	for _, name := range e.Names[customerID] {
		if name.EventID == eventID {
			name.IsDeleted = true
			e.names = append(e.names, name)
		}
	}
	e.Names[customerID] = slices.DeleteFunc(slices.Clone(e.Names[customerID]), func(n EventName) bool { return n.EventID == eventID })
	for _, rule := range slices.Clone(e.Rules[customerID][eventID]) {
		rule.IsDeleted = true
		e.putRule(rule)
	}
	for optimizationID, goals := range e.Goals[customerID] {
		if goal, attached := goals[eventID]; attached && !goal.IsDeleted {
			if err := e.RemoveGoal(customerID, optimizationID, eventID); err != nil {
				return err
			}
		}
	}
	e.note(customerID, "event %s deleted", eventID)
	return nil
}

// DeleteOptimization deletes an optimization with its variations and goals. Views of it that are reported are stored all the
// same.
func (e *Edit) DeleteOptimization(customerID, optimizationID string) error {
	o, exists := e.Optimizations[customerID][optimizationID]
	if !exists {
		return refuse.NotFoundf("account %s has no optimization %s", customerID, optimizationID).Try("`tieback optimization list %s` shows them", customerID)
	}
	for _, goal := range e.GoalsOf(customerID, optimizationID) {
		if err := e.RemoveGoal(customerID, optimizationID, goal.EventID); err != nil {
			return err
		}
	}
	for _, v := range e.VariationsOf(customerID, optimizationID) {
		v.IsDeleted = true
		e.Variations[customerID][optimizationID][v.VariationID] = v
		e.variations = append(e.variations, v)
	}
	o.IsDeleted = true
	delete(e.Optimizations[customerID], optimizationID)
	e.optimizations = append(e.optimizations, o)
	e.note(customerID, "optimization %s deleted", optimizationID)
	return nil
}

// DeleteAccount deletes an account with all that is configured for it. Whoever calls it has made sure that nothing
// was received for it.
func (e *Edit) DeleteAccount(customerID string) error {
	account, exists := e.Accounts[customerID]
	if !exists {
		return refuse.NotFoundf("there is no account %s", customerID).Try("`tieback account list` shows all")
	}
	for _, token := range e.TokensOf(customerID) {
		if _, listed := e.Tokens[token.Prefix]; listed { // those of one name go together
			if err := e.DeleteToken(customerID, token.Name); err != nil {
				return err
			}
		}
	}
	for _, event := range e.EventsOf(customerID) {
		if err := e.DeleteEvent(customerID, event.EventID); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(e.Optimizations[customerID])) {
		if err := e.DeleteOptimization(customerID, id); err != nil {
			return err
		}
	}
	account.IsDeleted = true
	delete(e.Accounts, customerID)
	e.accounts = append(e.accounts, account)
	e.note(customerID, "account deleted")
	return nil
}
