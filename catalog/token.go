package catalog

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Token is a named secret of an account, as it is stored: never the secret itself.
type Token struct {
	CustomerID string     `ch:"customer_id"`
	Name       string     `ch:"name"`
	Prefix     string     `ch:"prefix"` // public, to find the token by
	Hash       string     `ch:"hash"`   // SHA-256 of the whole token, hex
	CreatedAt  time.Time  `ch:"created_at"`
	RevokedAt  *time.Time `ch:"revoked_at"`
	IsDeleted  bool       `ch:"is_deleted"` // revoked, and not listed any more
	Version    uint64     `ch:"version"`
}

// Secret is a token as its owner holds it. It cannot be printed by accident; Reveal
// shows it, once.
type Secret struct{ text string }

// Reveal returns the token's text.
func (s Secret) Reveal() string { return s.text }

// Prefix returns the public part, by which the token is found.
func (s Secret) Prefix() string {
	_, rest, _ := strings.Cut(s.text, "_")
	prefix, _, _ := strings.Cut(rest, "_")
	return prefix
}

func (Secret) String() string               { return "[hidden]" }
func (Secret) GoString() string             { return "[hidden]" }
func (Secret) LogValue() slog.Value         { return slog.StringValue("[hidden]") }
func (Secret) MarshalText() ([]byte, error) { return []byte("[hidden]"), nil }

const (
	tokenMark        = "tb"
	tokenPrefixBytes = 5
	tokenSecretBytes = 32 // 256 bits
)

// NewToken makes a secret and what is stored of it. Its text is tb_PREFIX_SECRET.
func NewToken(customerID, name string, now time.Time) (Secret, Token) {
	var random [tokenPrefixBytes + tokenSecretBytes]byte
	_, _ = rand.Read(random[:]) // never fails, crypto/rand
	prefix := hex.EncodeToString(random[:tokenPrefixBytes])
	text := fmt.Sprintf("%s_%s_%s", tokenMark, prefix, base64.RawURLEncoding.EncodeToString(random[tokenPrefixBytes:]))
	hash := hashToken(text)
	return Secret{text}, Token{
		CustomerID: customerID, Name: name, Prefix: prefix, Hash: string(hash[:]), CreatedAt: now,
	}
}

// hashToken is in hex; an array, since each request asks for one and throws it away.
func hashToken(text string) (hash [2 * sha256.Size]byte) {
	sum := sha256.Sum256([]byte(text))
	hex.Encode(hash[:], sum[:])
	return hash
}

// Authenticate returns the account that a token's text belongs to, or
// ErrInvalidToken when it is malformed, unknown or revoked.
func (s *Snapshot) Authenticate(text string) (customerID string, err error) {
	mark, rest, _ := strings.Cut(text, "_")
	prefix, _, _ := strings.Cut(rest, "_")
	token := s.Tokens[prefix] // the zero token has no hash and never matches
	hash := hashToken(text)
	matches := subtle.ConstantTimeCompare(hash[:], []byte(token.Hash)) == 1
	if mark != tokenMark || !matches || token.RevokedAt != nil {
		return "", ErrInvalidToken
	}
	return token.CustomerID, nil
}
