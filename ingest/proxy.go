package ingest

import (
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// ParseProxy reads an address, or a range of them as 10.0.0.0/8.
func ParseProxy(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		prefix, err := netip.ParsePrefix(text)
		return prefix.Masked(), err
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	return address.Prefix(address.BitLen())
}

// locate leaves in X-Forwarded-For, where c.IP looks, nothing but the client's address.
// What a client itself has written there does not count.
func (s *Server) locate(c *fiber.Ctx) error {
	header := &c.Request().Header
	var hops []string
	for _, line := range header.PeekAll(fiber.HeaderXForwardedFor) {
		hops = append(hops, strings.Split(string(line), ",")...)
	}
	remote, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	header.Del(fiber.HeaderXForwardedFor)
	header.Set(fiber.HeaderXForwardedFor, clientAddress(remote.Unmap(), hops, s.cfg.Proxies).String())
	return c.Next()
}

// clientAddress goes back from the connection's address over the hops, of which each
// proxy adds the last one, to the first that is no proxy of ours.
func clientAddress(remote netip.Addr, hops []string, proxies []netip.Prefix) netip.Addr {
	address := remote
	for i := len(hops) - 1; i >= 0 && isProxy(address, proxies); i-- {
		text := strings.TrimSpace(hops[i])
		before, err := netip.ParseAddr(text)
		if withPort, portErr := netip.ParseAddrPort(text); err != nil && portErr == nil {
			before, err = withPort.Addr(), nil
		}
		if err != nil {
			break
		}
		address = before.Unmap().WithZone("")
	}
	return address
}

func isProxy(address netip.Addr, proxies []netip.Prefix) bool {
	for _, proxy := range proxies {
		if proxy.Contains(address) {
			return true
		}
	}
	return false
}
