package admin

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/reports"
)

// mountPages adds the web page. What has no cookie gets no further than the door.
func (a *Admin) mountPages(site fiber.Router) {
	site.Get("/static/*", a.getStatic)
	site.Get("/login", a.page("login", func(c *fiber.Ctx) (*view, error) {
		return &view{Title: "Sign in", Data: query(c, "next")}, nil
	}))
	site.Post("/login", a.postLogin)
	site.Use(a.onlyPages)
	site.Post("/logout", a.postLogout)
	site.Get("/", a.page("accounts", a.viewAccounts))
	site.Get("/accounts", back("/accounts", "/"))
	site.Post("/accounts", a.form(a.formAccount, "accounts", a.viewAccounts))
	site.Get("/runs", a.page("runs", a.viewRuns))
	site.Post("/runs", a.form(a.formRun, "runs", a.viewRuns))
	site.Get("/import", a.page("import", a.viewImport))
	site.Post("/import", a.shows("import", a.previewImport, a.viewImport))
	site.Get("/import/store", back("/import/store", "/import"))
	site.Post("/import/store", a.shows("import", a.storeImport, a.viewImport))
	site.Get("/runs/:runId", a.page("run", a.viewRun))

	account := site.Group("/accounts/:customerId")
	account.Get("/", a.page("connect", a.viewConnect))
	account.Get("/try", a.page("try", a.viewTry))
	account.Get("/settings", a.page("settings", a.viewSettings))
	// Where a refused form leaves the browser, a GET leads back to the page that it is on.
	for path, page := range map[string]string{
		"/origins": "/settings", "/tokens": "/settings", "/tokens/revoke": "/settings", "/events/rename": "/events", "/events/archive": "/events", "/events/rule": "/events",
		"/events/delete": "/events", "/tokens/delete": "/settings", "/delete": "/settings",
	} {
		account.Get(path, back(path, page))
	}
	for _, path := range []string{"/goals", "/goals/remove", "/delete"} {
		account.Get("/optimizations/:optimizationId"+path, back(path, ""))
	}
	account.Post("/origins", a.form(a.formOrigins, "settings", a.viewSettings))
	account.Post("/tokens", a.postToken)
	account.Post("/tokens/revoke", a.form(a.formRevoke, "settings", a.viewSettings))
	account.Get("/erase", a.page("erase", a.viewErase))
	account.Get("/erase/sure", back("/erase/sure", "/erase"))
	account.Post("/erase", a.shows("erase", a.showErase(false), a.viewErase))
	account.Post("/erase/sure", a.shows("erase", a.showErase(true), a.viewErase))
	account.Get("/events", a.page("events", a.viewEvents))
	account.Post("/events", a.form(a.formEvent, "events", a.viewEvents))
	account.Post("/events/rename", a.form(a.formRename, "events", a.viewEvents))
	account.Post("/events/rule", a.form(a.formRule, "events", a.viewEvents))
	account.Post("/delete", a.form(a.formDeleteAccount, "settings", a.viewSettings))
	account.Post("/tokens/delete", a.form(a.formDeleteToken, "settings", a.viewSettings))
	account.Post("/events/delete", a.form(a.formDeleteEvent, "events", a.viewEvents))
	account.Post("/optimizations/:optimizationId/delete", a.form(a.formDeleteOptimization, "optimization", a.viewOptimization))
	account.Post("/events/archive", a.form(a.formArchive, "events", a.viewEvents))
	account.Get("/optimizations", a.page("optimizations", a.viewOptimizations))
	account.Post("/optimizations", a.form(a.formNewOptimization, "optimizations", a.viewOptimizations))
	account.Get("/optimizations/:optimizationId", a.page("optimization", a.viewOptimization))
	account.Post("/optimizations/:optimizationId", a.form(a.formOptimization, "optimization", a.viewOptimization))
	account.Post("/optimizations/:optimizationId/goals", a.form(a.formGoal, "optimization", a.viewOptimization))
	account.Post("/optimizations/:optimizationId/goals/remove", a.form(a.formRemoveGoal, "optimization", a.viewOptimization))
	account.Get("/optimizations/:optimizationId/results", a.page("results", a.viewResults))
	account.Get("/conversions", a.page("conversions", a.viewConversions))
	account.Get("/conversions/look", a.page("conversion", a.viewConversion))
	site.Use(func(c *fiber.Ctx) error { return a.showProblem(c, errNoSuchPath) })
}

// back redirects from a path that takes forms only.
func back(path, page string) fiber.Handler {
	return func(c *fiber.Ctx) error {
		return c.Redirect(strings.TrimSuffix(strings.Clone(c.Path()), path)+page, fiber.StatusSeeOther)
	}
}

func (a *Admin) viewAccounts(c *fiber.Ctx) (*view, error) {
	if err := a.cfg.Live.Refresh(c.UserContext()); err != nil {
		return nil, err
	}
	type row struct {
		ID                            string
		Tokens, Events, Optimizations int
	}
	snap := a.cfg.Live.Snapshot()
	var rows []row
	for _, id := range slices.Sorted(maps.Keys(snap.Accounts)) {
		rows = append(rows, row{id, len(liveTokens(snap, id)), len(liveEvents(snap, id)), len(snap.Optimizations[id])})
	}
	return &view{Title: "Accounts", Tab: "accounts", Data: rows}, nil
}

func liveTokens(snap *catalog.Snapshot, customerID string) []catalog.Token {
	return slices.DeleteFunc(snap.TokensOf(customerID), func(t catalog.Token) bool { return t.RevokedAt != nil })
}

func liveEvents(snap *catalog.Snapshot, customerID string) []catalog.Event {
	return slices.DeleteFunc(snap.EventsOf(customerID), func(e catalog.Event) bool { return e.Current() == "" })
}

// begun leaves out events whose name begins later.
func begun(events []catalog.Event, now time.Time) []catalog.Event {
	return slices.DeleteFunc(events, func(e catalog.Event) bool { return e.Names[len(e.Names)-1].From.After(now) })
}

// home is the path of an account's pages.
func home(customerID string) string { return "/admin/accounts/" + url.PathEscape(customerID) }

func (a *Admin) formAccount(c *fiber.Ctx) (string, error) {
	id := value(c, "customerId")
	return home(id) + "/settings", a.addAccount(c.UserContext(), source(c), id)
}

// settingsData is the page on which tokens are made.
type settingsData struct {
	Tokens  []tokenAnswer
	Origins []string
	Changes []reports.CatalogChange
	Secret  string // of a token just made, shown this once
	Named   string
}

func (a *Admin) viewSettings(c *fiber.Ctx) (*view, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return nil, err
	}
	data := settingsData{Origins: account.Origins}
	for _, token := range snap.TokensOf(account.CustomerID) {
		data.Tokens = append(data.Tokens, tokenOf(token))
	}
	if data.Changes, err = reports.CatalogChanges(c.UserContext(), a.cfg.DB, account.CustomerID, 50); err != nil {
		return nil, err
	}
	return &view{Title: "Account settings", Account: account.CustomerID, Tab: "settings", Data: data}, nil
}

func (a *Admin) formOrigins(c *fiber.Ctx) (string, error) {
	account, _, err := a.account(c)
	if err != nil {
		return "", err
	}
	origins := strings.Fields(value(c, "origins"))
	_, err = a.putAccount(c.UserContext(), source(c), account.CustomerID, accountInput{&origins})
	return home(account.CustomerID) + "/settings", err
}

// postToken shows the token in its own answer: nothing else ever does.
func (a *Admin) postToken(c *fiber.Ctx) error {
	account, _, err := a.account(c)
	if err != nil {
		return a.showProblem(c, err)
	}
	name := value(c, "name")
	token, err := a.addToken(c.UserContext(), source(c), account.CustomerID, tokenInput{name})
	status, problem := fiber.StatusOK, ""
	if err != nil {
		p := a.problemOf(c, err)
		p.headers(c)
		status, problem = p.Status, p.Message
	}
	v, err := a.viewSettings(c)
	if err != nil {
		// The token is there and its text only here: it must not be lost with the rest of the page.
		v = &view{Title: "Account settings", Account: account.CustomerID, Tab: "settings", Data: settingsData{}}
	}
	data, _ := v.Data.(settingsData)
	data.Secret, data.Named = token.Token, name
	v.Data, v.Problem = data, problem
	if problem != "" {
		v.typed = typed(c)
	}
	return a.show(c, status, "settings", v)
}

func (a *Admin) formRevoke(c *fiber.Ctx) (string, error) {
	account, _, err := a.account(c)
	if err != nil {
		return "", err
	}
	return home(account.CustomerID) + "/settings", a.revokeToken(c.UserContext(), source(c), account.CustomerID, exactly(c, "name"))
}

func (a *Admin) viewEvents(c *fiber.Ctx) (*view, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return nil, err
	}
	var events []eventAnswer
	for _, event := range snap.EventsOf(account.CustomerID) {
		events = append(events, eventOf(snap, account.CustomerID, event))
	}
	return &view{Title: "Custom events", Account: account.CustomerID, Tab: "events", Data: events}, nil
}

func (a *Admin) formEvent(c *fiber.Ctx) (string, error) {
	account, _, err := a.account(c)
	if err != nil {
		return "", err
	}
	in := eventInput{APIName: value(c, "apiName"), From: value(c, "from")}
	_, err = a.addEvent(c.UserContext(), source(c), account.CustomerID, in)
	return home(account.CustomerID) + "/events", err
}

func (a *Admin) formRename(c *fiber.Ctx) (string, error) {
	account, _, err := a.account(c)
	if err != nil {
		return "", err
	}
	_, err = a.renameEvent(c.UserContext(), source(c), account.CustomerID, exactly(c, "eventId"), renameInput{value(c, "newName")})
	return home(account.CustomerID) + "/events", err
}

func (a *Admin) formDeleteAccount(c *fiber.Ctx) (string, error) {
	account, _, err := a.account(c)
	if err != nil {
		return "", err
	}
	return "/admin/", a.deleteAccount(c.UserContext(), source(c), account.CustomerID, exactly(c, "really"))
}

func (a *Admin) formDeleteToken(c *fiber.Ctx) (string, error) {
	account, _, err := a.account(c)
	if err != nil {
		return "", err
	}
	return home(account.CustomerID) + "/settings", a.deleteToken(c.UserContext(), source(c), account.CustomerID, exactly(c, "name"))
}

func (a *Admin) formDeleteEvent(c *fiber.Ctx) (string, error) {
	account, _, err := a.account(c)
	if err != nil {
		return "", err
	}
	return home(account.CustomerID) + "/events", a.deleteEvent(c.UserContext(), source(c), account.CustomerID, exactly(c, "eventId"))
}

func (a *Admin) formDeleteOptimization(c *fiber.Ctx) (string, error) {
	customerID, optimizationID, _, err := a.optimization(c)
	if err != nil {
		return "", err
	}
	return home(customerID) + "/optimizations", a.deleteOptimization(c.UserContext(), source(c), customerID, optimizationID)
}

func (a *Admin) formRule(c *fiber.Ctx) (string, error) {
	account, _, err := a.account(c)
	if err != nil {
		return "", err
	}
	in := ruleInput{Window: value(c, "window"), Credit: value(c, "credit"), From: value(c, "from")}
	if days := value(c, "days"); in.Window == "days" {
		in.Window = days + "d"
	}
	_, err = a.setRule(c.UserContext(), source(c), account.CustomerID, exactly(c, "eventId"), in)
	return home(account.CustomerID) + "/events", err
}

func (a *Admin) formArchive(c *fiber.Ctx) (string, error) {
	account, _, err := a.account(c)
	if err != nil {
		return "", err
	}
	_, err = a.archiveEvent(c.UserContext(), source(c), account.CustomerID, exactly(c, "eventId"))
	return home(account.CustomerID) + "/events", err
}
