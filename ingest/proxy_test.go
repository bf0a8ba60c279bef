package ingest

import (
	"net/netip"
	"strings"
	"testing"
)

func TestClientAddress(t *testing.T) {
	var proxies []netip.Prefix
	for _, text := range []string{"10.0.0.0/8", "192.168.1.1", "fd00::/8"} {
		proxy, err := ParseProxy(text)
		if err != nil {
			t.Fatal(err)
		}
		proxies = append(proxies, proxy)
	}
	for _, c := range []struct{ remote, forwarded, want string }{
		{"203.0.113.7", "", "203.0.113.7"},
		{"203.0.113.7", "198.51.100.1", "203.0.113.7"}, // no proxy of ours: anybody can write that
		{"10.1.2.3", "", "10.1.2.3"},
		{"10.1.2.3", "198.51.100.1", "198.51.100.1"},
		{"10.1.2.3", "1.1.1.1, 198.51.100.1", "198.51.100.1"}, // the client has written the first one
		{"10.1.2.3", "198.51.100.1, 10.9.9.9,192.168.1.1", "198.51.100.1"},
		{"10.1.2.3", "10.9.9.9", "10.9.9.9"},
		{"10.1.2.3", "198.51.100.1:5000", "198.51.100.1"},
		{"fd00::1", "[2001:db8::1]:443", "2001:db8::1"},
		{"fd00::1", "2001:db8::1", "2001:db8::1"},
		{"10.1.2.3", "nonsense", "10.1.2.3"},
		{"10.1.2.3", "198.51.100.1, unknown", "10.1.2.3"},
	} {
		if got := clientAddress(netip.MustParseAddr(c.remote), strings.Split(c.forwarded, ","), proxies); got.String() != c.want {
			t.Errorf("%s forwarded for %q: %s, expected %s", c.remote, c.forwarded, got, c.want)
		}
	}
	for _, wrong := range []string{"", "nginx", "10.0.0.0/40", "10.0.0"} {
		if _, err := ParseProxy(wrong); err == nil {
			t.Errorf("%q is an address", wrong)
		}
	}
}
