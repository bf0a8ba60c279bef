package ingest

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

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
	CustomerID      jsontext.Value `json:"customerId"`
	APIName         jsontext.Value `json:"apiName"`
	EventName       jsontext.Value `json:"eventName"` // another name for apiName
	UserDomain      jsontext.Value `json:"userDomain"`
	UserID          jsontext.Value `json:"userId"`
	ActionID        jsontext.Value `json:"actionId"`
	ActionTimestamp jsontext.Value `json:"actionTimestamp"`
	Value           jsontext.Value `json:"value"`
}

// field returns where the value of a key belongs; nil for one that is ignored.
func (body *eventBody) field(key []byte) *jsontext.Value {
	switch string(key) {
	case `"customerId"`:
		return &body.CustomerID
	case `"apiName"`:
		return &body.APIName
	case `"eventName"`:
		return &body.EventName
	case `"userDomain"`:
		return &body.UserDomain
	case `"userId"`:
		return &body.UserID
	case `"actionId"`:
		return &body.ActionID
	case `"actionTimestamp"`:
		return &body.ActionTimestamp
	case `"value"`:
		return &body.Value
	default:
		return nil
	}
}

// errEscapedKey sends a body to the decoder that unescapes keys.
var errEscapedKey = errors.New("a key has an escape")

// read takes the next value of decoder, which must be an object. The fields are
// views into raw, what decoder reads from. It is decodeObject without reflection,
// for bodies that nothing is wrong with; those it refuses are decoded again, for the
// reason.
func (body *eventBody) read(decoder *jsontext.Decoder, raw []byte) error {
	if decoder.PeekKind() != '{' {
		return errors.New("no object")
	}
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	for decoder.PeekKind() != '}' {
		key, err := decoder.ReadValue()
		if err != nil {
			return err
		}
		if bytes.IndexByte(key, '\\') >= 0 {
			return errEscapedKey
		}
		field := body.field(key)
		value, err := decoder.ReadValue()
		if err != nil {
			return err
		}
		if field != nil {
			end := decoder.InputOffset()
			*field = raw[end-int64(len(value)) : end]
		}
	}
	_, err := decoder.ReadToken()
	return err
}

// decodeEvent reads a body that is one conversion.
func decodeEvent(raw []byte) (body eventBody, apiErr *apiError) {
	decoder := jsontext.NewDecoder(bytes.NewReader(raw))
	if body.read(decoder, raw) == nil {
		if _, err := decoder.ReadToken(); errors.Is(err, io.EOF) {
			return body, nil
		}
	}
	body = eventBody{}
	apiErr = decodeObject(raw, &body)
	return body, apiErr
}

// acceptedEvent is the answer to an accepted conversion: canonical names, strict
// JSON.
type acceptedEvent struct {
	CustomerID      string         `json:"customerId"`
	APIName         string         `json:"apiName"`
	UserDomain      string         `json:"userDomain"`
	UserID          string         `json:"userId"`
	ActionID        string         `json:"actionId"`
	ActionTimestamp int64          `json:"actionTimestamp"`
	Value           stdjson.Number `json:"value,omitempty"`
}

func answerOf(c *warehouse.Conversion) acceptedEvent {
	return acceptedEvent{
		CustomerID: c.CustomerID, APIName: c.APIName, UserDomain: c.UserDomain, UserID: c.UserID,
		ActionID: c.ActionID, ActionTimestamp: c.ActionAtMS, Value: stdjson.Number(valueText(c.Value)),
	}
}

// conversion checks a body and returns the row, or every fault at once. pathAccount
// is the account of the URL, or empty. tokenAccount is whose token came along.
func (body *eventBody) conversion(pathAccount, tokenAccount string, receivedAt time.Time, limits Limits) (*warehouse.Conversion, *apiError) {
	var f faults
	account := body.account(&f, pathAccount)
	if account != "" && account != tokenAccount {
		return nil, errWrongAccount
	}
	c := &warehouse.Conversion{
		CustomerID:   account,
		APIName:      body.name(&f),
		UserDomain:   f.id("userDomain", body.UserDomain),
		UserID:       f.id("userId", body.UserID),
		ActionID:     f.id("actionId", body.ActionID),
		ActionAtMS:   body.timestamp(&f, receivedAt, limits),
		Value:        f.value("value", body.Value),
		ReceivedAtMS: receivedAt.UnixMilli(),
	}
	if len(f.list) > 0 {
		return nil, errInvalidEvent(f.list)
	}
	c.IngestID = uuid.Must(uuid.NewV7())
	return c, nil
}

func (body *eventBody) account(f *faults, pathAccount string) string {
	if pathAccount == "" {
		return f.id("customerId", body.CustomerID)
	}
	if !absent(body.CustomerID) {
		if account := f.id("customerId", body.CustomerID); account != "" && account != pathAccount {
			f.add("customerId", "conflict", body.CustomerID, "customerId differs from the account in the path, %q", pathAccount)
		}
	}
	if len(pathAccount) > maxIDBytes {
		f.add("customerId", "too_long", nil, "customerId has %d bytes, at most %d are allowed", len(pathAccount), maxIDBytes)
	}
	return pathAccount
}

func (body *eventBody) name(f *faults) string {
	switch {
	case absent(body.EventName):
		return f.id("apiName", body.APIName)
	case absent(body.APIName):
		return f.id("eventName", body.EventName)
	}
	name, alias := f.id("apiName", body.APIName), f.id("eventName", body.EventName)
	if name != "" && alias != "" && name != alias {
		f.add("apiName", "conflict", body.APIName, "apiName differs from eventName, %s; they mean the same", string(body.EventName))
	}
	return name
}

func (body *eventBody) timestamp(f *faults, receivedAt time.Time, limits Limits) int64 {
	const field = "actionTimestamp"
	at, ok := f.integer(field, body.ActionTimestamp)
	if !ok {
		return 0
	}
	received := receivedAt.UnixMilli()
	switch {
	case at < secondsBelow:
		f.add(field, "timestamp_in_seconds", body.ActionTimestamp, "actionTimestamp must be in milliseconds since 1970 in UTC; this looks like seconds")
	case at > received+limits.MaxFuture.Milliseconds():
		f.add(field, "timestamp_in_future", body.ActionTimestamp, "actionTimestamp lies more than %s after the receipt at %d", limits.MaxFuture, received)
	case at < received-limits.MaxAge.Milliseconds():
		f.add(field, "timestamp_too_old", body.ActionTimestamp, "actionTimestamp lies more than %s before the receipt at %d", limits.MaxAge, received)
	}
	return at
}
