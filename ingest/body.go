package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/klauspost/compress/gzip"
	"github.com/valyala/fasthttp"
)

// Bodies are read by the routes, after they have looked at token and path, and memory grows
// with what has come and not with what was announced.

// streamed lets a handler run as soon as the first byte of the body is there.
func streamed(*fasthttp.RequestHeader) fasthttp.RequestConfig {
	return fasthttp.RequestConfig{MaxRequestBodySize: 1}
}

// ErrBodyTooLarge says that a body has more bytes than its route takes.
var ErrBodyTooLarge = errors.New("the body is too large")

// politeBytes is what is read of a body that is too large all the same: a client that is cut
// off while it sends sees a broken connection and not the 413.
const politeBytes = 16 << 20

// ReadBody reads the request's body as it was sent, of limit bytes at most, into buf.
func ReadBody(c *fiber.Ctx, buf *bytes.Buffer, limit int) error {
	stream := c.Context().RequestBodyStream()
	if stream == nil { // it was read with the header
		if raw := c.Request().Body(); len(raw) <= limit {
			buf.Write(raw)
			return nil
		}
		return ErrBodyTooLarge
	}
	announced := c.Request().Header.ContentLength() // negative where it is not known
	if announced <= limit {
		n, err := buf.ReadFrom(io.LimitReader(stream, int64(limit)+1))
		if err != nil {
			return fmt.Errorf("read the body: %w", err)
		}
		if n <= int64(limit) {
			if int(n) < announced {
				return fmt.Errorf("read the body: %w", io.ErrUnexpectedEOF)
			}
			return nil
		}
	}
	_, _ = io.CopyN(io.Discard, stream, politeBytes) // the answer is the same if it breaks off
	return ErrBodyTooLarge
}

var bodyBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keptBytes is the largest buffer that waits for the next request.
const keptBytes = 1 << 20

// withAuthorized is withBody for a request whose token is good. Of a body that was slow to come
// the token is looked at once more: it may have been revoked meanwhile.
func (s *Server) withAuthorized(c *fiber.Ctx, inflatedLimit int, use func(raw []byte) error) error {
	began := time.Now()
	return withBody(c, maxEventBytes, inflatedLimit, func(raw []byte) error {
		if time.Since(began) > slowBody {
			if _, apiErr := authenticate(c.Context(), s.cfg.Catalog, tokenOf(c.Get(fiber.HeaderAuthorization))); apiErr != nil {
				return apiErr
			}
		}
		return use(raw)
	})
}

// slowBody is longer than it takes until a revoked token is known to be.
const slowBody = 200 * time.Millisecond

// withBody hands a body to use, of at most limit bytes, inflated if it is gzip to at most
// inflatedLimit. Nothing of it may be kept: the next request gets the same memory.
func withBody(c *fiber.Ctx, limit, inflatedLimit int, use func(raw []byte) error) error {
	buf, _ := bodyBuffers.Get().(*bytes.Buffer)
	buf.Reset()
	defer func() {
		if buf.Cap() <= keptBytes {
			bodyBuffers.Put(buf)
		}
	}()
	switch err := ReadBody(c, buf, limit); {
	case errors.Is(err, ErrBodyTooLarge):
		return errTooLarge(limit)
	case err != nil:
		return errCutOff
	}
	switch strings.ToLower(strings.TrimSpace(c.Get(fiber.HeaderContentEncoding))) {
	case "", "identity":
		return use(buf.Bytes())
	case "gzip":
		inflated, apiErr := inflate(buf.Bytes(), inflatedLimit)
		if apiErr != nil {
			return apiErr
		}
		return use(inflated)
	default:
		return errEncoding
	}
}

func inflate(raw []byte, limit int) ([]byte, *apiError) {
	reader, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, errInvalidJSON(fmt.Sprintf("the body is not gzip: %v", err), 0)
	}
	defer reader.Close()
	inflated, err := io.ReadAll(io.LimitReader(reader, int64(limit)+1))
	if err != nil {
		return nil, errInvalidJSON(fmt.Sprintf("the gzip stream is damaged or truncated: %v", err), int64(len(inflated)))
	}
	if len(inflated) > limit {
		return nil, errTooLarge(limit)
	}
	return inflated, nil
}
