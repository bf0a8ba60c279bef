// Package contracttest holds handlers against docs/openapi.yaml in tests.
package contracttest

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/gofiber/fiber/v2"
)

// Contract is docs/openapi.yaml.
type Contract struct {
	Router  routers.Router
	Answers map[string]bool // "operationId status" that some request has shown

	doc *openapi3.T
}

// Load reads the contract from a package one folder below the top.
func Load(t *testing.T) *Contract {
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
	return &Contract{Router: router, Answers: map[string]bool{}, doc: doc}
}

// Hold checks an answer against the contract.
func (c *Contract) Hold(t *testing.T, req *http.Request, res *http.Response) {
	t.Helper()
	req.URL.Scheme, req.URL.Host, req.Host = "http", "localhost:8080", "localhost:8080"
	route, params, err := c.Router.FindRoute(req)
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
	c.Answers[route.Operation.OperationID+" "+res.Status[:3]] = true
}

// Covers compares the routes of an app with the paths of the contract, both ways, of
// those that mine is true for.
func (c *Contract) Covers(t *testing.T, app *fiber.App, mine func(path string) bool) {
	t.Helper()
	var documented, served []string
	for path, item := range c.doc.Paths.Map() {
		for method := range item.Operations() {
			if mine(path) {
				documented = append(documented, method+" "+path)
			}
		}
	}
	for _, route := range app.GetRoutes(true) {
		if route.Method == http.MethodHead || route.Method == http.MethodOptions || !mine(route.Path) {
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
