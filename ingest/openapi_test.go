package ingest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// contract is docs/openapi.yaml.
type contract struct {
	router  routers.Router
	answers map[string]bool // "operationId status" that some request has shown
}

func loadContract(t *testing.T) (*openapi3.T, *contract) {
	t.Helper()
	openapi3filter.RegisterBodyDecoder("text/javascript", openapi3filter.FileBodyDecoder)
	doc, err := openapi3.NewLoader().LoadFromFile("../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return doc, &contract{router: router, answers: map[string]bool{}}
}

// hold checks an answer of the server against the contract.
func (c *contract) hold(t *testing.T, req *http.Request, res *http.Response) {
	t.Helper()
	req.URL.Scheme, req.URL.Host, req.Host = "http", "localhost:8080", "localhost:8080"
	route, params, err := c.router.FindRoute(req)
	if err != nil {
		return // a path or method that the contract does not have, on purpose
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 res.StatusCode, Header: res.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		t.Errorf("%s %s answered %d %s, which docs/openapi.yaml does not have: %v", req.Method, req.URL.Path, res.StatusCode, body, err)
	}
	c.answers[route.Operation.OperationID+" "+res.Status[:3]] = true
}

// TestContractIsComplete compares the routes of the server with the paths of the
// contract, both ways.
func TestContractIsComplete(t *testing.T) {
	doc, _ := loadContract(t)
	var documented, served []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	for _, route := range NewServer(Config{}).app.GetRoutes(true) {
		if route.Method == http.MethodHead || route.Method == http.MethodOptions {
			continue
		}
		var parts []string
		for _, part := range strings.Split(route.Path, "/") {
			if name, ok := strings.CutPrefix(part, ":"); ok {
				part = "{" + name + "}"
			}
			parts = append(parts, part)
		}
		if entry := route.Method + " " + strings.Join(parts, "/"); !slices.Contains(served, entry) {
			served = append(served, entry)
		}
	}
	slices.Sort(documented)
	slices.Sort(served)
	if !slices.Equal(documented, served) {
		t.Errorf("documented %v\nserved %v", documented, served)
	}
}

// TestExamplesKeepTheContract holds good requests against it, too.
func TestExamplesKeepTheContract(t *testing.T) {
	_, c := loadContract(t)
	for path, body := range map[string]string{
		"/event": event("value", "1.5"), "/customer/123456789/event": event("customerId", "", "eventName", `"bought"`, "actionTimestamp", `"1578316150000"`),
		"/events":  "[" + event() + "]",
		"/collect": `{"customerId":"123456789","visitorId":"v","sentAt":1,"events":[{"type":"view","optimizationId":"o","variationId":"a","occurredAt":1,"id":"x"}]}`,
	} {
		req := httptest.NewRequest(http.MethodPost, "http://localhost:8080"+path, strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		route, params, err := c.router.FindRoute(req)
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
