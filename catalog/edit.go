package catalog

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tieback/tieback/refuse"
)

// Edit is a change under way: each method checks its rule against the catalog as
// it is after the methods before, and notes the rows to write.
type Edit struct {
	*Snapshot
	now time.Time

	accounts      []Account
	tokens        []Token
	names         []EventName
	rules         []EventRule
	optimizations []Optimization
	variations    []Variation
	goals         []Goal
	changes       []change

	made []string // accounts that were made by the way
}

// Made lists the accounts that the change makes.
func (e *Edit) Made() []string { return e.made }

// change is a row of catalog_changes.
type change struct {
	Version    uint64    `ch:"version"`
	ChangedAt  time.Time `ch:"changed_at"`
	Source     string    `ch:"source"`
	CustomerID string    `ch:"customer_id"`
	Change     string    `ch:"change"`
}

func (e *Edit) note(customerID, format string, args ...any) {
	e.changes = append(e.changes, change{CustomerID: customerID, Change: fmt.Sprintf(format, args...)})
}

// Changes is how many changes were noted so far.
func (e *Edit) Changes() int { return len(e.changes) }

// HasName reports whether the interval is there just as it is given.
func (e *Edit) HasName(n EventName) bool {
	return slices.ContainsFunc(e.Names[n.CustomerID], n.equal)
}

// Remark records something that a person did besides changing the catalog, such as
// starting a run; of no account where customerID is empty.
func (e *Edit) Remark(customerID, text string) { e.note(customerID, "%s", text) }

// PutAccount adds an account. Of one that exists it sets the origins, if any are
// given, and leaves the rest.
func (e *Edit) PutAccount(customerID string, origins []string) error {
	if account, exists := e.Accounts[customerID]; exists && len(origins) == 0 {
		origins = account.Origins
	}
	return e.SetOrigins(customerID, origins)
}

// SetOrigins sets the origins that an account's browsers may send from, none for any,
// and makes the account if there is none.
func (e *Edit) SetOrigins(customerID string, origins []string) error {
	if err := checkID("the account's id", customerID); err != nil {
		return err
	}
	normal := []string{}
	for _, origin := range origins {
		one, err := normalOrigin(origin)
		if err != nil {
			return err
		}
		if !slices.Contains(normal, one) {
			normal = append(normal, one)
		}
	}
	account, exists := e.Accounts[customerID]
	if exists && slices.Equal(normal, account.Origins) {
		return nil
	}
	if !exists {
		account = Account{CustomerID: customerID, CreatedAt: e.now}
	}
	account.Origins = normal
	e.Accounts[customerID] = account
	e.accounts = append(e.accounts, account)
	if !exists {
		e.made = append(e.made, customerID)
	}
	switch {
	case !exists && len(normal) == 0:
		e.note(customerID, "account added")
	case len(normal) == 0:
		e.note(customerID, "pages of any origin may send")
	default:
		e.note(customerID, "pages of %s may send, no others", strings.Join(normal, ", "))
	}
	return nil
}

// normalOrigin returns an origin as browsers send it: lower case, without the
// scheme's own port. The host may begin with anySubdomain.
func normalOrigin(origin string) (string, error) {
	scheme, host, _ := strings.Cut(strings.ToLower(origin), "://")
	host, any := strings.CutPrefix(host, anySubdomain)
	u, err := url.Parse(scheme + "://" + host)
	ports := map[string]string{"http": "80", "https": "443"}
	wrong := err != nil || ports[u.Scheme] == "" || u.Hostname() == "" || strings.ContainsAny(u.Host, "*<>\"' ") ||
		u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != ""
	if !wrong && u.Port() != "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		wrong = err != nil || port == 0
	}
	if wrong {
		return "", refuse.Invalidf("%q is not an origin; give scheme and host, as https://www.example.com, or https://*.example.com for all subdomains", origin)
	}
	host = strings.TrimSuffix(u.Host, ":"+ports[u.Scheme])
	if any {
		host = anySubdomain + host
	}
	return u.Scheme + "://" + host, nil
}

// AddToken makes a token. Its name must not be that of a live one.
func (e *Edit) AddToken(customerID, name string) (Secret, error) {
	if err := e.PutAccount(customerID, nil); err != nil {
		return Secret{}, err
	}
	if err := checkID("the token's name", name); err != nil {
		return Secret{}, err
	}
	if _, err := e.liveToken(customerID, name); err == nil {
		return Secret{}, refuse.Conflictf("account %s has a token named %q; revoke it first, or choose another name", customerID, name)
	}
	secret, token := NewToken(customerID, name, e.now)
	e.Tokens[token.Prefix] = token
	e.tokens = append(e.tokens, token)
	e.note(customerID, "token %q added", name)
	return secret, nil
}

// RevokeToken ends a token's life at once.
func (e *Edit) RevokeToken(customerID, name string) error {
	token, err := e.liveToken(customerID, name)
	if err != nil {
		return err
	}
	token.RevokedAt = &e.now
	e.Tokens[token.Prefix] = token
	e.tokens = append(e.tokens, token)
	e.note(customerID, "token %q revoked", name)
	return nil
}

func (e *Edit) liveToken(customerID, name string) (Token, error) {
	for _, token := range e.Tokens {
		if token.CustomerID == customerID && token.Name == name && token.RevokedAt == nil {
			return token, nil
		}
	}
	return Token{}, refuse.NotFoundf("account %s has no live token named %q", customerID, name).Try("`tieback token list %s` shows them", customerID)
}
