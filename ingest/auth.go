package ingest

import (
	"context"
	"strings"

	"github.com/tieback/tieback/catalog"
)

// Catalog is what the edge asks of the catalog.
type Catalog interface {
	// Snapshot returns the newest catalog that was read.
	Snapshot() *catalog.Snapshot
	// Refresh reads it now, when something was not found that may be new.
	Refresh(ctx context.Context) error
}

// tokenOf returns the token in an Authorization header, empty where there is none. The
// scheme is matched without regard to case.
func tokenOf(header string) string {
	scheme, token, _ := strings.Cut(strings.TrimSpace(header), " ")
	if !strings.EqualFold(scheme, "ApiKey") {
		return ""
	}
	return strings.TrimSpace(token)
}

// authenticate returns the account of a token, which is matched exactly. Missing,
// unknown and revoked are told with one answer.
func authenticate(ctx context.Context, cat Catalog, token string) (customerID string, apiErr *apiError) {
	if token == "" {
		return "", errInvalidToken
	}
	customerID, err := cat.Snapshot().Authenticate(token)
	if err != nil {
		if err := cat.Refresh(ctx); err != nil {
			return "", errUnavailable()
		}
		customerID, err = cat.Snapshot().Authenticate(token)
	}
	if err != nil {
		return "", errInvalidToken
	}
	return customerID, nil
}

// account finds an account, looking again for one that may be new.
func account(ctx context.Context, cat Catalog, customerID string) (catalog.Account, *apiError) {
	found, ok := cat.Snapshot().Accounts[customerID]
	if !ok {
		if err := cat.Refresh(ctx); err != nil {
			return catalog.Account{}, errUnavailable()
		}
		found, ok = cat.Snapshot().Accounts[customerID]
	}
	if !ok {
		return catalog.Account{}, errUnknownAccount
	}
	return found, nil
}
