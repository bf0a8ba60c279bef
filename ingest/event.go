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

func (l Limits) withDefaults() Limits {
	if l.MaxFuture == 0 {
		l.MaxFuture = 5 * time.Second
	}
	if l.MaxAge == 0 {
		l.MaxAge = 7 * 24 * time.Hour
	}
	return l
}

// eventBody is a conversion as a backend sends it. It is fields of a jsonReader.
type eventBody struct {
	customerID, apiName, userDomain, userID, actionID, actionTimestamp, value jsonText

	eventName jsonText // another name for apiName

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
	case "userDomain":
		return &body.userDomain
	case "userId":
		return &body.userID
	case "actionId":
		return &body.actionID
	case "actionTimestamp":
		return &body.actionTimestamp
	case "value":
		return &body.value
	default:
		return nil
	}
}

// other ignores a field, and keeps what to say about it.
func (body *eventBody) other(key string, value jsonText) {
	if IgnoredField(key) != "" {
		body.ignored = append(body.ignored, key)
	}
	if value[0] == '[' && !body.wrapsArray || value[0] == '{' && body.wrapper == "" {
		body.wrapper, body.wrapsArray = key, value[0] == '['
	}
}

// ignoredFields has our fields by their plain names, and the names that senders give to value.
var ignoredFields = func() map[string]string {
	fields := map[string]string{}
	for _, name := range []string{"customerId", "apiName", "eventName", "userDomain", "userId", "actionId", "actionTimestamp", "value"} {
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

// decodeEvent reads a body that is one conversion.
func decodeEvent(raw []byte) (*eventBody, *apiError) {
	body := new(eventBody)
	r := newJSONReader(raw)
	r.space()
	if r.peek() == '[' {
		r.fail("the body is an array, and must be an object: send several events to /events")
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
		ActionAtMS:   body.timestamp(&f, receivedAt, limits),
		Value:        f.value("value", body.value),
		ReceivedAtMS: receivedAt.UnixMilli(),
	}
	if len(f.list) > 0 {
		apiErr := errInvalidEvent(f.list)
		if body.wrapped() {
			apiErr.Message = fmt.Sprintf("the object holds no conversion; if the field %q does, send what is inside it, without an object around it", body.wrapper)
		}
		return apiErr
	}
	return nil
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

func (body *eventBody) timestamp(f *faults, receivedAt time.Time, limits Limits) int64 {
	const field = "actionTimestamp"
	at, ok := f.integer(field, body.actionTimestamp)
	if !ok {
		return 0
	}
	received := receivedAt.UnixMilli()
	switch {
	case at < secondsBelow:
		f.add(field, "timestamp_in_seconds", body.actionTimestamp, "actionTimestamp must be in milliseconds since 1970 in UTC; this looks like seconds")
	case at > microsecondsAbove:
		f.add(field, "timestamp_in_microseconds", body.actionTimestamp, "actionTimestamp must be in milliseconds since 1970 in UTC; this looks like microseconds or nanoseconds")
	case at > received+limits.MaxFuture.Milliseconds():
		f.add(field, "timestamp_in_future", body.actionTimestamp, "actionTimestamp (%s) is more than %s after it was received (%s)", human.Moment(time.UnixMilli(at)), human.Duration(limits.MaxFuture), human.Moment(receivedAt))
	case at < received-limits.MaxAge.Milliseconds():
		f.add(field, "timestamp_too_old", body.actionTimestamp, "actionTimestamp (%s) is more than %s before it was received (%s)", human.Moment(time.UnixMilli(at)), human.Duration(limits.MaxAge), human.Moment(receivedAt))
	}
	return at
}
