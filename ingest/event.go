package ingest

import (
	"bytes"
	"errors"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tieback/tieback/warehouse"
)

// Limits are the bounds on actionTimestamp that can be configured (spec 3.1).
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

// eventBody is a conversion as a backend sends it; fields that are not here are
// ignored.
type eventBody struct {
	customerID, apiName, userDomain, userID, actionID, actionTimestamp, value jsonText

	eventName jsonText // another name for apiName
}

// field returns where the value of a key belongs; nil for one that is ignored.
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

var errNoObject = errors.New("the body must be an object")

// read takes the next value of decoder, which must be an object. The fields are
// views into text, which is what decoder reads.
func (body *eventBody) read(decoder *jsontext.Decoder, text string) error {
	if decoder.PeekKind() != '{' {
		return errNoObject
	}
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	for decoder.PeekKind() != '}' {
		key, err := decoder.ReadValue()
		if err != nil {
			return err
		}
		name := key[1 : len(key)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			if name, err = jsontext.AppendUnquote(nil, key); err != nil {
				return err
			}
		}
		field := body.field(string(name)) // before the next read, which takes key's bytes
		value, err := decoder.ReadValue()
		if err != nil {
			return err
		}
		if field != nil {
			end := int(decoder.InputOffset())
			*field = jsonText(text[end-len(value) : end])
		}
	}
	_, err := decoder.ReadToken()
	return err
}

// readAt reads the object at raw[at:], in strict JSON, and returns where it ends. text
// is raw as a string; the fields are views into it.
func (body *eventBody) readAt(raw []byte, text string, at int) (end int, err error) {
	if end, ok := body.readPlain(text, at); ok {
		return end, nil
	}
	*body = eventBody{}
	decoder := jsontext.NewDecoder(bytes.NewBuffer(raw[at:]))
	err = body.read(decoder, text[at:])
	return at + int(decoder.InputOffset()), err
}

// readAll reads raw, which must be one object in strict JSON and nothing else.
func (body *eventBody) readAll(raw []byte) error {
	text := view(raw)
	end, err := body.readAt(raw, text, skipSpace(text, 0))
	if err == nil && skipSpace(text, end) != len(text) {
		err = errNoObject
	}
	return err
}

// decodeEvent reads a body that is one conversion: strict JSON first, JSON5 only when
// that fails.
func decodeEvent(raw []byte) (body eventBody, apiErr *apiError) {
	if body.readAll(raw) == nil {
		return body, nil
	}
	rewritten, apiErr := json5ToJSON(raw)
	if apiErr != nil {
		return eventBody{}, apiErr
	}
	body = eventBody{}
	if body.readAll(rewritten) != nil {
		return eventBody{}, errInvalidJSON(errNoObject.Error(), 0)
	}
	return body, nil
}

// appendAnswer appends the answer to an accepted conversion: canonical names, strict
// JSON.
func appendAnswer(buf []byte, c *warehouse.Conversion) []byte {
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
	return append(buf, '}')
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
func (body *eventBody) conversion(pathAccount, tokenAccount string, receivedAt time.Time, limits Limits) (c warehouse.Conversion, apiErr *apiError) {
	var f faults
	account := body.account(&f, pathAccount)
	if account != "" && account != tokenAccount {
		return c, errWrongAccount
	}
	c = warehouse.Conversion{
		CustomerID:   account,
		APIName:      body.name(&f),
		UserDomain:   f.id("userDomain", body.userDomain),
		UserID:       f.id("userId", body.userID),
		ActionID:     f.id("actionId", body.actionID),
		ActionAtMS:   body.timestamp(&f, receivedAt, limits),
		Value:        f.value("value", body.value),
		ReceivedAtMS: receivedAt.UnixMilli(),
	}
	if len(f.list) > 0 {
		return c, errInvalidEvent(f.list)
	}
	return c, nil
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
	case at > received+limits.MaxFuture.Milliseconds():
		f.add(field, "timestamp_in_future", body.actionTimestamp, "actionTimestamp lies more than %s after the receipt at %d", limits.MaxFuture, received)
	case at < received-limits.MaxAge.Milliseconds():
		f.add(field, "timestamp_too_old", body.actionTimestamp, "actionTimestamp lies more than %s before the receipt at %d", limits.MaxAge, received)
	}
	return at
}
