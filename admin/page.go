package admin

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/reports"
	"github.com/tieback/tieback/reports/experiment"
)

//go:embed templates/*.html
var templates embed.FS

//go:embed static
var static embed.FS

// pages are the templates by the name of their file.
type pages map[string]*template.Template

// view is what a page is made from.
type view struct {
	Title   string
	Account string // id of the account that the page is about, empty for none
	Tab     string // of the navigation
	Problem string // why what was asked for was not done
	Saved   bool   // what was asked for was done
	Data    any

	typed url.Values // of a form that was refused, so that nothing has to be typed again
}

// Typed returns what a refused form had in a field, or else what is stored.
func (v *view) Typed(field, stored string) string {
	if values, given := v.typed[field]; given && len(values) > 0 {
		return values[0]
	}
	return stored
}

func parsePages() (pages, error) {
	files, err := fs.Glob(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("list the templates: %w", err)
	}
	parsed := pages{}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" {
			continue
		}
		t, err := template.New("layout.html").Funcs(functions).ParseFS(templates, "templates/layout.html", file)
		if err != nil {
			return nil, fmt.Errorf("read the page %s: %w", name, err)
		}
		parsed[name] = t
	}
	return parsed, nil
}

// functions of the templates.
var functions = template.FuncMap{
	"path":    url.PathEscape,
	"stamp":   stamp,
	"exact":   exact,
	"quote":   human.Quote,
	"later":   func(ms int64) bool { return time.UnixMilli(ms).After(time.Now()) },
	"day":     func(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.DateOnly) },
	"figure":  figureText,
	"outcome": outcomeText,
	"step":    jobs.StepText,
	"percent": reports.Percent,
	"amount":  func(value *float64) string { return human.Grouped(reports.Amount(value)) },
	"grouped": func(number any) string {
		if of, ok := number.(*uint64); ok {
			number = *of
		}
		return human.Grouped(fmt.Sprint(number))
	},
	"join":   strings.Join,
	"window": func(hours uint32) string { return human.Duration(time.Duration(hours) * time.Hour) },
	"p": func(p float64) string {
		if p < 0.0001 {
			return "< 0.0001"
		}
		return fmt.Sprintf("%.4f", p)
	},
	"comparison": newComparison,
	"bar":        func(bars []interval, i int, of *experiment.Comparison) liftData { return liftData{bars[i], of} },
	"add":        func(a, b int) int { return a + b },
	"minus":      func(a, b float64) float64 { return a - b },
	"rule":       ruleText,
	"moment":     momentText,
	"json":       toJSON,
}

// show sends a page.
func (a *Admin) show(c *fiber.Ctx, status int, name string, v *view) error {
	var body bytes.Buffer
	if err := a.pages[name].Execute(&body, v); err != nil {
		a.cfg.Log.Error("render a page", "page", name, "err", err)
		return c.Status(fiber.StatusInternalServerError).SendString("the page could not be made; the log of the service says why\n")
	}
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	return c.Status(status).Send(body.Bytes())
}

// viewer gathers what a page shows.
type viewer func(c *fiber.Ctx) (*view, error)

// page answers a GET.
func (a *Admin) page(name string, gather viewer) fiber.Handler {
	return func(c *fiber.Ctx) error {
		v, err := gather(c)
		if err != nil {
			return a.showProblem(c, err)
		}
		v.Saved = query(c, savedQuery) != ""
		return a.show(c, fiber.StatusOK, name, v)
	}
}

// savedQuery in the address of a page says that what a form asked for was done.
const savedQuery = "saved"

// form answers a POST: what was asked for is done and the browser sent on, or the page
// that the form is on shows why not.
func (a *Admin) form(act func(c *fiber.Ctx) (to string, err error), name string, gather viewer) fiber.Handler {
	return func(c *fiber.Ctx) error {
		to, err := act(c)
		if err == nil {
			return c.Redirect(to+"?"+savedQuery+"=yes", fiber.StatusSeeOther)
		}
		p := a.problemOf(c, err)
		v, gatherErr := gather(c)
		if gatherErr != nil {
			return a.showProblem(c, err)
		}
		v.Problem, v.typed = p.Message, typed(c)
		p.headers(c)
		return a.show(c, p.Status, name, v)
	}
}

// shows answers a POST whose outcome is a page of its own; where it is refused, the page that the form is on
// says why.
func (a *Admin) shows(name string, act, otherwise viewer) fiber.Handler {
	return func(c *fiber.Ctx) error {
		v, err := act(c)
		if err == nil {
			return a.show(c, fiber.StatusOK, name, v)
		}
		p := a.problemOf(c, err)
		if v, err = otherwise(c); err != nil {
			return a.showProblem(c, err)
		}
		v.Problem = p.Message
		p.headers(c)
		return a.show(c, p.Status, name, v)
	}
}

// typed returns the fields of a form, copies.
func typed(c *fiber.Ctx) url.Values {
	fields := url.Values{}
	for name, value := range c.Request().PostArgs().All() {
		fields.Add(string(name), string(value))
	}
	return fields
}

// showProblem sends a page that says what is wrong.
func (a *Admin) showProblem(c *fiber.Ctx, err error) error {
	p := a.problemOf(c, err)
	p.headers(c)
	v := &view{Title: "This did not work", Problem: p.Message, Data: p.Status}
	if c.Locals(sourceKey) != nil { // signed in
		v.Tab = "problem"
		if id, err := param(c, "customerId"); err == nil && a.cfg.Live.Snapshot().Accounts[id].CustomerID != "" {
			v.Account = id
		}
	}
	return a.show(c, p.Status, "problem", v)
}

// onlyPages lets in whoever is signed in, and shows the door to others.
func (a *Admin) onlyPages(c *fiber.Ctx) error {
	source, err := a.signedIn(c)
	switch {
	case errors.Is(err, errSignedOut) && !changes(c):
		return c.Redirect("/admin/login?next="+url.QueryEscape(c.OriginalURL()), fiber.StatusSeeOther)
	case errors.Is(err, errSignedOut):
		return a.show(c, fiber.StatusUnauthorized, "login", &view{Title: "Sign in", Problem: "You were signed out, so nothing was changed. Sign in and do it again.", Data: ""})
	case err != nil:
		return a.showProblem(c, err)
	}
	c.Locals(sourceKey, source)
	limit := maxInputBytes
	if c.Path() == "/admin/import" {
		limit = maxFileBytes + maxFormBytes
	}
	if err := readBody(c, limit); err != nil {
		return a.showProblem(c, err)
	}
	return c.Next()
}

// getStatic sends an embedded file.
func (a *Admin) getStatic(c *fiber.Ctx) error {
	name := path.Clean("static/" + c.Params("*"))
	data, err := static.ReadFile(name)
	if err != nil || !strings.HasPrefix(name, "static/") {
		return c.Status(fiber.StatusNotFound).SendString("not found\n")
	}
	types := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	kind, known := types[path.Ext(name)]
	if !known {
		kind = fiber.MIMETextPlainCharsetUTF8
	}
	c.Set(fiber.HeaderContentType, kind)
	c.Set(fiber.HeaderCacheControl, "private, max-age=300")
	return c.Send(data)
}

// postLogin signs in and goes on to where the visitor was heading: a page of ours.
func (a *Admin) postLogin(c *fiber.Ctx) error {
	if err := readBody(c, maxLoginBytes); err != nil {
		return a.showProblem(c, err)
	}
	next := value(c, "next")
	if err := a.signIn(c, exactly(c, "token")); err != nil {
		p := a.problemOf(c, err)
		p.headers(c)
		return a.show(c, p.Status, "login", &view{Title: "Sign in", Problem: p.Message, Data: next})
	}
	if !strings.HasPrefix(next, "/admin/") || strings.ContainsAny(next, "\\\r\n") {
		next = "/admin/"
	}
	return c.Redirect(next, fiber.StatusSeeOther)
}

func (a *Admin) postLogout(c *fiber.Ctx) error {
	a.sessions.end(c.Cookies(cookieName), a.cfg.Now())
	a.setCookie(c, "", time.Unix(0, 0))
	return c.Redirect("/admin/login", fiber.StatusSeeOther)
}

// values returns all values of a field of a form, copies. The query has no say: what is in
// it ends up in the logs of proxies.
func values(c *fiber.Ctx, name string) []string {
	var list []string
	for _, value := range c.Request().PostArgs().PeekMulti(name) {
		list = append(list, string(value))
	}
	return list
}

// exactly returns a field of a form as it was sent, value without space around it.
func exactly(c *fiber.Ctx, name string) string { return string(c.Request().PostArgs().Peek(name)) }

func value(c *fiber.Ctx, name string) string { return strings.TrimSpace(exactly(c, name)) }
