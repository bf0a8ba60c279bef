package admin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
)

// sessions makes and checks cookies. A cookie is "EXPIRES.NONCE.MAC"; only those that were
// signed out are remembered, until they expire or the service restarts.
type sessions struct {
	tokenHash [sha256.Size]byte
	key       []byte

	mu    sync.Mutex
	ended map[string]time.Time // cookies, and when they expire
}

const (
	cookieName = "tieback_admin"
	// sessionTime is how long a sign-in holds.
	sessionTime = 12 * time.Hour
)

func newSessions(token string) *sessions {
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte("tieback admin session"))
	return &sessions{tokenHash: sha256.Sum256([]byte(token)), key: mac.Sum(nil), ended: map[string]time.Time{}}
}

// opens reports whether text is the admin token, in constant time.
func (s *sessions) opens(text string) bool {
	hash := sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(hash[:], s.tokenHash[:]) == 1
}

func (s *sessions) mac(text string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *sessions) cookie(now time.Time) string {
	text := strconv.FormatInt(now.Add(sessionTime).Unix(), 10) + "." + rand.Text()
	return text + "." + s.mac(text)
}

func (s *sessions) holds(cookie string, now time.Time) bool {
	cut := strings.LastIndexByte(cookie, '.')
	if cut < 0 || !hmac.Equal([]byte(cookie[cut+1:]), []byte(s.mac(cookie[:cut]))) {
		return false
	}
	expires, _, _ := strings.Cut(cookie[:cut], ".")
	at, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || now.Unix() >= at {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, over := s.ended[cookie]
	return !over
}

// end signs a cookie out, if it is one of ours.
func (s *sessions) end(cookie string, now time.Time) {
	if !s.holds(cookie, now) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for old, expires := range s.ended {
		if now.After(expires) {
			delete(s.ended, old)
		}
	}
	s.ended[strings.Clone(cookie)] = now.Add(sessionTime)
}

// ours reports whether a request comes from a page of this origin. Browsers say so
// themselves in Sec-Fetch-Site, and over plain HTTP in Origin.
func ours(c *fiber.Ctx) bool {
	if site := c.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin, err := url.Parse(c.Get(fiber.HeaderOrigin))
	return err == nil && origin.Host != "" && origin.Host == string(c.Request().Host())
}

func changes(c *fiber.Ctx) bool {
	return c.Method() != fiber.MethodGet && c.Method() != fiber.MethodHead
}

// signedIn is nil for whoever may see and change everything. The source names them for
// the record of changes.
func (a *Admin) signedIn(c *fiber.Ctx) (source string, err error) {
	// Another scheme is a proxy's before this service.
	if scheme, token, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " "); strings.EqualFold(scheme, "Bearer") {
		if a.sessions.opens(strings.TrimSpace(token)) {
			return "admin API from " + strings.Clone(c.IP()), nil
		}
		if !a.failures.AllowN(a.cfg.Now(), 1) {
			return "", errTooMany
		}
		return "", errSignedOut
	}
	if !a.sessions.holds(c.Cookies(cookieName), a.cfg.Now()) {
		return "", errSignedOut
	}
	if changes(c) && !ours(c) {
		return "", errForeign
	}
	return "admin page from " + strings.Clone(c.IP()), nil
}

// signIn gives a cookie for the admin token.
func (a *Admin) signIn(c *fiber.Ctx, token string) error {
	if !ours(c) {
		return errForeign
	}
	if !a.sessions.opens(token) {
		if !a.failures.AllowN(a.cfg.Now(), 1) {
			return errTooMany
		}
		return &problem{fiber.StatusUnauthorized, "not_signed_in", "that is not the admin token of this service (--admin-token or TIEBACK_ADMIN_TOKEN)"}
	}
	a.setCookie(c, a.sessions.cookie(a.cfg.Now()), a.cfg.Now().Add(sessionTime))
	return nil
}

func (a *Admin) setCookie(c *fiber.Ctx, value string, expires time.Time) {
	c.Cookie(&fiber.Cookie{
		Name: cookieName, Value: value, Path: "/admin", Expires: expires,
		HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode, Secure: c.Protocol() == "https",
	})
}
