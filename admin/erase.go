package admin

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"github.com/tieback/tieback/catalog"
	"github.com/tieback/tieback/jobs"
	"github.com/tieback/tieback/refuse"
)

// eraseInput names a person: a visitor, or a user id.
type eraseInput struct {
	VisitorID  string `json:"visitorId"`
	UserDomain string `json:"userDomain"`
	UserID     string `json:"userId"`
	DryRun     *bool  `json:"dryRun"` // required: nothing must not delete
}

// erase deletes a person's rows for good, or shows what would go.
func (a *Admin) erase(ctx context.Context, source, customerID string, in eraseInput) (*jobs.Erasure, error) {
	if in.DryRun == nil {
		return nil, refuse.Invalidf("dryRun is missing: true shows what would go, false deletes it")
	}
	person := jobs.Person{CustomerID: customerID, VisitorID: in.VisitorID, UserDomain: in.UserDomain, UserID: in.UserID}
	settled, cancel := context.WithTimeout(ctx, drainFor)
	defer cancel()
	if err := a.cfg.Drained(settled); err != nil {
		return nil, refuse.Conflictf("nothing was erased: events accepted before still wait in the spool, and would come in later")
	}
	runner := jobs.NewRunner(a.cfg.DB, a.cfg.Now, a.cfg.Log)
	runner.Memory = a.cfg.NightMemory
	erasure, err := runner.Erase(ctx, person, *in.DryRun)
	if err != nil || *in.DryRun {
		return erasure, err
	}
	if err := a.cfg.Forget(erasure.Traces); err != nil || erasure.Rows() == 0 {
		return erasure, err
	}
	return erasure, a.change(ctx, source, func(e *catalog.Edit) error {
		e.Remark(customerID, erasure.Remark())
		return nil
	})
}

func (a *Admin) apiErase(c *fiber.Ctx) (any, error) {
	var in eraseInput
	call, err := a.asks(c, &in)
	if err != nil {
		return nil, err
	}
	// What has begun is not left half done because somebody hung up.
	return a.erase(context.WithoutCancel(call.ctx), call.source, call.customerID, in)
}

// eraseData is what would go, or went.
type eraseData struct {
	Person  eraseInput
	Erasure *jobs.Erasure
	Done    bool
}

// showErase answers the form of the settings page, and with sure the one of the preview.
func (a *Admin) showErase(sure bool) viewer {
	return func(c *fiber.Ctx) (*view, error) {
		account, _, err := a.account(c)
		if err != nil {
			return nil, err
		}
		dryRun := !sure
		in := eraseInput{VisitorID: exactly(c, "visitorId"), UserDomain: exactly(c, "userDomain"), UserID: exactly(c, "userId"), DryRun: &dryRun}
		erasure, err := a.erase(context.WithoutCancel(c.UserContext()), source(c), account.CustomerID, in)
		if err != nil {
			return nil, err
		}
		return &view{Title: "Erase a person", Account: account.CustomerID, Tab: "settings", Data: eraseData{in, erasure, sure}}, nil
	}
}

func (a *Admin) viewErase(c *fiber.Ctx) (*view, error) {
	account, _, err := a.account(c)
	if err != nil {
		return nil, err
	}
	return &view{Title: "Erase a person", Account: account.CustomerID, Tab: "settings", Data: eraseData{}}, nil
}
