package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/human"
)

const sourceKey = "source" // of c.Locals: who asks

// mountAPI adds the routes of docs/openapi.yaml.
func (a *Admin) mountAPI(api fiber.Router) {
	const account = "/accounts/:customerId"
	const event = account + "/events/:eventId"
	const optimization = account + "/optimizations/:optimizationId"
	api.Get("/accounts", a.answer(a.getAccounts))
	api.Get(account, a.answer(a.getAccount))
	api.Put(account, a.answer(a.apiPutAccount))
	api.Delete(account, a.answer(a.apiDeleteAccount))
	api.Get(account+"/changes", a.answer(a.getChanges))
	api.Get(account+"/activity", a.answer(a.getActivity))
	api.Get(account+"/flags", a.answer(a.getFlags))
	api.Get(account+"/tokens", a.answer(a.getTokens))
	api.Post(account+"/tokens", a.answer(a.apiAddToken))
	api.Delete(account+"/tokens/:name", a.answer(a.apiRevokeToken))
	api.Get(account+"/events", a.answer(a.getEvents))
	api.Post(account+"/events", a.answer(a.apiAddEvent))
	api.Post(event+"/rename", a.answer(a.apiRenameEvent))
	api.Post(event+"/archive", a.answer(a.apiArchiveEvent))
	api.Post(event+"/rule", a.answer(a.apiSetRule))
	api.Delete(event, a.answer(a.apiDeleteEvent))
	api.Post(account+"/erase", a.answer(a.apiErase))
	api.Get(account+"/optimizations", a.answer(a.getOptimizations))
	api.Delete(optimization, a.answer(a.apiDeleteOptimization))
	api.Put(optimization, a.answer(a.apiPutOptimization))
	api.Get(optimization+"/results", a.answer(a.getResults))
	api.Get(optimization+"/trend", a.answer(a.getTrend))
	api.Put(optimization+"/goals/:eventId", a.answer(a.apiPutGoal))
	api.Delete(optimization+"/goals/:eventId", a.answer(a.apiRemoveGoal))
	api.Get(account+"/outcomes", a.answer(a.getOutcomes))
	api.Get(account+"/conversions", a.answer(a.getConversions))
	api.Get(account+"/conversions/:apiName/:actionId", a.answer(a.getConversion))
	api.Get("/runs", a.answer(a.getRuns))
	api.Post("/runs", a.answer(a.apiStartRun))
	api.Get("/runs/current", a.answer(a.getCurrentRun))
	api.Get("/runs/:runId", a.answer(a.getRun))
	api.Use(func(c *fiber.Ctx) error { return a.refuse(c, errNoSuchPath) })
}

// onlyAPI lets in whoever holds the admin token or a cookie.
func (a *Admin) onlyAPI(c *fiber.Ctx) error {
	source, err := a.signedIn(c)
	if err != nil {
		return a.refuse(c, err)
	}
	c.Locals(sourceKey, source)
	if err := readBody(c, maxInputBytes); err != nil {
		return a.refuse(c, err)
	}
	return c.Next()
}

func source(c *fiber.Ctx) string {
	text, _ := c.Locals(sourceKey).(string)
	return text
}

// answer sends what a handler returns as JSON: 204 for nil, and 201 or 202 where it
// returns a created or an accepted.
func (a *Admin) answer(handle func(*fiber.Ctx) (any, error)) fiber.Handler {
	return func(c *fiber.Ctx) error {
		value, err := handle(c)
		if err != nil {
			return a.refuse(c, err)
		}
		switch v := value.(type) {
		case nil:
			return c.SendStatus(fiber.StatusNoContent)
		case created:
			return c.Status(fiber.StatusCreated).JSON(v.value)
		case accepted:
			return c.Status(fiber.StatusAccepted).JSON(v.value)
		default:
			return c.JSON(v)
		}
	}
}

type (
	created  struct{ value any }
	accepted struct{ value any }
)

// refuse sends an error in the form of docs/openapi.yaml.
func (a *Admin) refuse(c *fiber.Ctx, err error) error {
	p := a.problemOf(c, err)
	p.headers(c)
	return c.Status(p.Status).JSON(map[string]*problem{"error": p})
}

// decode reads a JSON body strictly: a misspelt name must not be taken for nothing.
func decode(c *fiber.Ctx, into any) error {
	body := c.Request().Body()
	if len(body) == 0 {
		return &problem{fiber.StatusBadRequest, "invalid_json", "the body is empty; send a JSON object"}
	}
	if err := json.Unmarshal(body, into, json.RejectUnknownMembers(true)); err != nil {
		return &problem{fiber.StatusBadRequest, "invalid_json", unreadable(err)}
	}
	return nil
}

// unreadable says in a sender's words why a body can't be read: json's own name Go's types.
func unreadable(err error) string {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("the body is not readable as JSON: %s (at byte %d)", strings.ToValidUTF8(syntax.Err.Error(), "?"), syntax.ByteOffset)
	}
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return "the body is not readable as JSON"
	}
	field := human.Quote(semantic.JSONPointer.LastToken())
	switch {
	case errors.Is(semantic.Err, json.ErrUnknownName):
		return "there is no field " + field
	case semantic.JSONPointer == "":
		return fmt.Sprintf("the body must be an object, and is of the JSON type %s", semantic.JSONKind)
	default:
		return fmt.Sprintf("%s is of the wrong JSON type: %s", field, semantic.JSONKind)
	}
}

func (a *Admin) getAccounts(c *fiber.Ctx) (any, error) {
	if err := a.cfg.Live.Refresh(c.UserContext()); err != nil {
		return nil, err
	}
	snap := a.cfg.Live.Snapshot()
	list := []accountAnswer{}
	for _, id := range slices.Sorted(maps.Keys(snap.Accounts)) {
		list = append(list, accountOf(snap.Accounts[id]))
	}
	return list, nil
}

func (a *Admin) getAccount(c *fiber.Ctx) (any, error) {
	account, _, err := a.account(c)
	return accountOf(account), err
}

func (a *Admin) apiPutAccount(c *fiber.Ctx) (any, error) {
	id, err := param(c, "customerId")
	if err != nil {
		return nil, err
	}
	var in accountInput
	if err := decode(c, &in); err != nil {
		return nil, err
	}
	return a.putAccount(c.UserContext(), source(c), id, in)
}

func (a *Admin) getTokens(c *fiber.Ctx) (any, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return nil, err
	}
	list := []tokenAnswer{}
	for _, token := range snap.TokensOf(account.CustomerID) {
		list = append(list, tokenOf(token))
	}
	return list, nil
}

// asked is what a call is about: an account that exists, and the parts of the path after it.
type asked struct {
	ctx        context.Context
	source     string // who asks
	customerID string
	path       []string
}

// asks reads a call's path, of which names lists the parts after the account, and its
// body where in is not nil.
func (a *Admin) asks(c *fiber.Ctx, in any, names ...string) (asked, error) {
	account, _, err := a.account(c)
	if err != nil {
		return asked{}, err
	}
	call := asked{ctx: c.UserContext(), source: source(c), customerID: account.CustomerID}
	for _, name := range names {
		part, err := param(c, name)
		if err != nil {
			return asked{}, err
		}
		call.path = append(call.path, part)
	}
	if in != nil {
		err = decode(c, in)
	}
	return call, err
}

func (a *Admin) apiAddToken(c *fiber.Ctx) (any, error) {
	var in tokenInput
	call, err := a.asks(c, &in)
	if err != nil {
		return nil, err
	}
	token, err := a.addToken(call.ctx, call.source, call.customerID, in)
	return created{token}, err
}

func (a *Admin) apiRevokeToken(c *fiber.Ctx) (any, error) {
	call, err := a.asks(c, nil, "name")
	if err != nil {
		return nil, err
	}
	return nil, a.revokeToken(call.ctx, call.source, call.customerID, call.path[0])
}

func (a *Admin) getEvents(c *fiber.Ctx) (any, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return nil, err
	}
	list := []eventAnswer{}
	for _, event := range snap.EventsOf(account.CustomerID) {
		list = append(list, eventOf(snap, account.CustomerID, event))
	}
	return list, nil
}

func (a *Admin) apiAddEvent(c *fiber.Ctx) (any, error) {
	var in eventInput
	call, err := a.asks(c, &in)
	if err != nil {
		return nil, err
	}
	event, err := a.addEvent(call.ctx, call.source, call.customerID, in)
	return created{event}, err
}

func (a *Admin) apiRenameEvent(c *fiber.Ctx) (any, error) {
	var in renameInput
	call, err := a.asks(c, &in, "eventId")
	if err != nil {
		return nil, err
	}
	return a.renameEvent(call.ctx, call.source, call.customerID, call.path[0], in)
}

func (a *Admin) apiArchiveEvent(c *fiber.Ctx) (any, error) {
	call, err := a.asks(c, nil, "eventId")
	if err != nil {
		return nil, err
	}
	return a.archiveEvent(call.ctx, call.source, call.customerID, call.path[0])
}

func (a *Admin) apiSetRule(c *fiber.Ctx) (any, error) {
	var in ruleInput
	call, err := a.asks(c, &in, "eventId")
	if err != nil {
		return nil, err
	}
	return a.setRule(call.ctx, call.source, call.customerID, call.path[0], in)
}

func (a *Admin) apiDeleteEvent(c *fiber.Ctx) (any, error) {
	call, err := a.asks(c, nil, "eventId")
	if err != nil {
		return nil, err
	}
	return nil, a.deleteEvent(call.ctx, call.source, call.customerID, call.path[0])
}

func (a *Admin) apiDeleteOptimization(c *fiber.Ctx) (any, error) {
	call, err := a.asks(c, nil, "optimizationId")
	if err != nil {
		return nil, err
	}
	return nil, a.deleteOptimization(call.ctx, call.source, call.customerID, call.path[0])
}

func (a *Admin) apiDeleteAccount(c *fiber.Ctx) (any, error) {
	call, err := a.asks(c, nil)
	if err != nil {
		return nil, err
	}
	return nil, a.deleteAccount(call.ctx, call.source, call.customerID, query(c, "really"))
}

func (a *Admin) getOptimizations(c *fiber.Ctx) (any, error) {
	account, snap, err := a.account(c)
	if err != nil {
		return nil, err
	}
	list := []optimizationAnswer{}
	configured := snap.Optimizations[account.CustomerID]
	for _, id := range slices.Sorted(maps.Keys(configured)) {
		list = append(list, optimizationOf(snap, configured[id]))
	}
	return list, nil
}

// optimization returns the ids that the path names.
func (a *Admin) optimization(c *fiber.Ctx) (customerID, optimizationID string, snap *catalog.Snapshot, err error) {
	account, snap, err := a.account(c)
	if err != nil {
		return "", "", nil, err
	}
	optimizationID, err = param(c, "optimizationId")
	return account.CustomerID, optimizationID, snap, err
}

func (a *Admin) apiPutOptimization(c *fiber.Ctx) (any, error) {
	var in optimizationInput
	call, err := a.asks(c, &in, "optimizationId")
	if err != nil {
		return nil, err
	}
	return a.putOptimization(call.ctx, call.source, call.customerID, call.path[0], in)
}

func (a *Admin) apiPutGoal(c *fiber.Ctx) (any, error) {
	var in goalInput
	call, err := a.asks(c, &in, "optimizationId", "eventId")
	if err != nil {
		return nil, err
	}
	return a.putGoal(call.ctx, call.source, call.customerID, call.path[0], call.path[1], in)
}

func (a *Admin) apiRemoveGoal(c *fiber.Ctx) (any, error) {
	call, err := a.asks(c, nil, "optimizationId", "eventId")
	if err != nil {
		return nil, err
	}
	return a.removeGoal(call.ctx, call.source, call.customerID, call.path[0], call.path[1])
}
