package ingest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/tieback/tieback/ingest/contracttest"
)

// TestContractIsComplete compares the routes of the server with the paths of the
// contract, both ways.
func TestContractIsComplete(t *testing.T) {
	contracttest.Load(t).Covers(t, NewServer(Config{}).app, func(path string) bool { return !strings.HasPrefix(path, "/admin/") })
}

// TestExamplesKeepTheContract holds good requests against it, too.
func TestExamplesKeepTheContract(t *testing.T) {
	c := contracttest.Load(t)
	for path, body := range map[string]string{
		"/event": event("value", "1.5"), "/customer/123456789/event": event("customerId", "", "eventName", `"bought"`, "actionTimestamp", `"1578316150000"`),
		"/events":     "[" + event() + "]",
		"/adjustment": adjustment(), "/customer/123456789/adjustment": adjustment("customerId", "", "adjustment", `"retract"`, "value", ""), "/adjustments": "[" + adjustment() + "]",
		"/collect": `{"customerId":"123456789","visitorId":"v","sentAt":1,"events":[{"type":"view","optimizationId":"o","variationId":"a","occurredAt":1,"id":"x"}]}`,
	} {
		req := httptest.NewRequest(http.MethodPost, "http://localhost:8080"+path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		route, params, err := c.Router.FindRoute(req)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		err = openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{
			Request: req, PathParams: params, Route: route,
			Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
		})
		if err != nil {
			t.Errorf("%s: a good request breaks the contract: %v", path, err)
		}
	}
}
