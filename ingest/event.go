package ingest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tieback/tieback/human"
	"github.com/tieback/tieback/warehouse"
)

// Limits are the bounds on actionTimestamp that can be configured (docs/openapi.yaml).
type Limits struct {
	MaxFuture time.Duration // after receipt, 5 s when 0
	MaxAge    time.Duration // before receipt, 7 days when 0
}

// MaxFuture is how far ahead of its receipt something may claim to be, unless configured.
const MaxFuture = 5 * time.Second

func (l Limits) withDefaults() Limits {
	if l.MaxFuture == 0 {
		l.MaxFuture = MaxFuture
	}
	if l.MaxAge == 0 {
		l.MaxAge = 7 * 24 * time.Hour
	}
	return l
}

// eventBody is a conversion as a backend sends it, or where adjusts is set an adjustment of one. It is
// fields of a jsonReader.
type eventBody struct {
	adjusts bool

	customerID, apiName, userDomain, userID, actionID, actionTimestamp, value jsonText

	eventName jsonText // another name for apiName

	adjustment, adjustedAt jsonText

	sent
	wrapper    string // a field that is not known and holds other objects, an array rather than an object
	wrapsArray bool
}

// sent is what of a body there may be to warn of, besides what is stored.
type sent struct {
	ignored    []string // fields that are not known, but look as if they were meant for ours
	byNickname bool     // the event's name came as eventName
}

func (body *eventBody) field(key string) *jsonText {
	switch key {
	case "customerId":
		return &body.customerID
	case "apiName":
		return &body.apiName
	case "eventName":
		return &body.eventName
	case "actionId":
		return &body.actionID
	case "value":
		return &body.value
	}
	switch {
	case body.adjusts && key == "adjustment":
		return &body.adjustment
	case body.adjusts && key == "adjustedAt":
		return &body.adjustedAt
	case body.adjusts:
		return nil
	}
	switch key {
	case "userDomain":
		return &body.userDomain
	case "userId":
		return &body.userID
	case "actionTimestamp":
		return &body.actionTimestamp
	default:
		return nil
	}
}

// other ignores a field, and keeps what to say about it.
func (body *eventBody) other(key string, value jsonText) {
	if ours := IgnoredField(key); ours != "" && ours != key { // one of ours is for the other kind of body
		body.ignored = append(body.ignored, key)
	}
	if value[0] == '[' && !body.wrapsArray || value[0] == '{' && body.wrapper == "" {
		body.wrapper, body.wrapsArray = key, value[0] == '['
	}
}

// ignoredFields has our fields by their plain names, and the names that senders give to value.
var ignoredFields = func() map[string]string {
	fields := map[string]string{}
	for _, name := range []string{"customerId", "apiName", "eventName", "userDomain", "userId", "actionId", "actionTimestamp", "value", "adjustment", "adjustedAt"} {
		fields[plainField(name)] = name
	}
	for _, name := range []string{"currency", "revenue", "amount", "price", "total"} {
		fields[name] = "value"
	}
	return fields
}()

// IgnoredField returns the field that one was probably meant for that is not read: it differs
// in case or underscores, or is another word for value. Empty for all others.
func IgnoredField(key string) string { return ignoredFields[plainField(key)] }

// plainField is a field's name without regard to case and underscores.
func plainField(key string) string { return strings.ToLower(strings.ReplaceAll(key, "_", "")) }

// wrapped reports whether the object holds no conversion, but another object or array that may.
func (body *eventBody) wrapped() bool {
	return body.wrapper != "" && body.apiName == "" && body.eventName == "" && body.actionID == "" && body.actionTimestamp == ""
}

// decodeBody reads a body that is one conversion, or one adjustment.
func decodeBody(raw []byte, adjusts bool) (*eventBody, *apiError) {
	body := &eventBody{adjusts: adjusts}
	r := newJSONReader(raw)
	r.space()
	if r.peek() == '[' {
		several := "events to /events"
		if adjusts {
			several = "adjustments to /adjustments"
		}
		r.fail("the body is an array, and must be an object: send several %s", several)
	}
	r.object(body)
	r.end()
	return body, r.err
}

// appendAnswer appends the answer to an accepted conversion: canonical names, strict
// JSON.
func appendAnswer(buf []byte, c *warehouse.Conversion, validateOnly bool, warnings []warning) []byte {
	for _, field := range [...]struct{ before, text string }{
		{`{"customerId":`, c.CustomerID},
		{`,"apiName":`, c.APIName},
		{`,"userDomain":`, c.UserDomain},
		{`,"userId":`, c.UserID},
		{`,"actionId":`, c.ActionID},
	} {
		buf = appendQuoted(append(buf, field.before...), field.text)
	}
	buf = strconv.AppendInt(append(buf, `,"actionTimestamp":`...), c.ActionAtMS, 10)
	if c.Value.Valid {
		buf = append(append(buf, `,"value":`...), c.Value.Decimal.String()...)
	}
	if validateOnly {
		buf = append(buf, `,"stored":false`...)
	}
	return append(appendWarnings(buf, warnings), '}')
}

// appendQuoted appends a text as a JSON string.
func appendQuoted(buf []byte, text string) []byte {
	start := len(buf)
	buf = append(append(append(buf, '"'), text...), '"')
	if plainString(view(buf), start) == len(buf) {
		return buf
	}
	buf, _ = jsontext.AppendQuote(buf[:start], text) // fails for bad UTF-8 only, which came in nowhere
	return buf
}

// conversion checks a body and returns the row, or every fault at once. pathAccount
// is the account of the URL, or empty. tokenAccount is whose token came along. The
// row has no ingest_id yet.
func (body *eventBody) conversion(c *warehouse.Conversion, pathAccount, tokenAccount string, receivedAt time.Time, limits Limits) *apiError {
	var f faults
	account := body.account(&f, pathAccount)
	if account != "" && account != tokenAccount {
		return errWrongAccount
	}
	*c = warehouse.Conversion{
		CustomerID:   account,
		APIName:      body.name(&f),
		UserDomain:   f.realID("userDomain", body.userDomain),
		UserID:       f.realID("userId", body.userID),
		ActionID:     f.realID("actionId", body.actionID),
		ActionAtMS:   f.timestamp("actionTimestamp", body.actionTimestamp, receivedAt, limits.MaxFuture, limits.MaxAge),
		Value:        f.value("value", body.value),
		ReceivedAtMS: receivedAt.UnixMilli(),
	}
	return body.invalid(f.list, "conversion")
}

// invalid is the error of a body with faults, nil without any; what says what it should have been.
func (body *eventBody) invalid(list []fault, what string) *apiError {
	if len(list) == 0 {
		return nil
	}
	called := "event"
	if body.adjusts {
		called = "adjustment"
	}
	apiErr := errInvalidEvent(called, list)
	if body.wrapped() {
		apiErr.Message = fmt.Sprintf("the object holds no %s; if the field %q does, send what is inside it, without an object around it", what, body.wrapper)
	}
	return apiErr
}

func (body *eventBody) account(f *faults, pathAccount string) string {
	if pathAccount == "" {
		return f.id("customerId", body.customerID)
	}
	if !body.customerID.absent() {
		if account := f.id("customerId", body.customerID); account != "" && account != pathAccount {
			f.add("customerId", "conflict", body.customerID, "customerId differs from the account in the path, %q", pathAccount)
		}
	}
	return pathAccount // the token's, so it is a good one
}

func (body *eventBody) name(f *faults) string {
	switch {
	case body.eventName.absent():
		return f.id("apiName", body.apiName)
	case body.apiName.absent():
		body.byNickname = true
		return f.id("eventName", body.eventName)
	}
	name, alias := f.id("apiName", body.apiName), f.id("eventName", body.eventName)
	if name != "" && alias != "" && name != alias {
		f.add("apiName", "conflict", body.apiName, "apiName differs from eventName, %s; they mean the same", body.eventName)
	}
	return name
}

// timestamp reads a moment that lies at most so far before and after its receipt.
func (f *faults) timestamp(field string, raw jsonText, receivedAt time.Time, maxFuture, maxAge time.Duration) int64 {
	at, ok := f.integer(field, raw)
	if !ok {
		return 0
	}
	received := receivedAt.UnixMilli()
	switch {
	case at < secondsBelow:
		f.add(field, "timestamp_in_seconds", raw, "%s must be in milliseconds since 1970 in UTC; this looks like seconds", field)
	case at > microsecondsAbove:
		f.add(field, "timestamp_in_microseconds", raw, "%s must be in milliseconds since 1970 in UTC; this looks like microseconds or nanoseconds", field)
	case at > received+maxFuture.Milliseconds():
		f.add(field, "timestamp_in_future", raw, "%s (%s) is more than %s after it was received (%s)", field, human.Moment(time.UnixMilli(at)), human.Duration(maxFuture), human.Moment(receivedAt))
	case at < received-maxAge.Milliseconds():
		f.add(field, "timestamp_too_old", raw, "%s (%s) is more than %s before it was received (%s)", field, human.Moment(time.UnixMilli(at)), human.Duration(maxAge), human.Moment(receivedAt))
	}
	return at
}
