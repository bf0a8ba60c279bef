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

// authenticate returns the account of the token in an Authorization header. The
// scheme is matched without regard to case, the token exactly. Missing, unknown and
// revoked are told with one answer.
func authenticate(ctx context.Context, cat Catalog, header string) (customerID string, apiErr *apiError) {
	scheme, token, _ := strings.Cut(strings.TrimSpace(header), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "ApiKey") || token == "" {
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
