package ingest

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// ConnectionLimits bound the connections that are open at once.
type ConnectionLimits struct {
	Total      int            // 0 for any number
	PerAddress int            // of one client, an IPv6 one being its /64; 0 for any number
	Exempt     []netip.Prefix // proxies, which speak for many clients
}

// LimitedListener closes connections beyond its limits as they come in, and goes on after the
// process has run out of files, as a service must.
type LimitedListener struct {
	net.Listener
	limits  ConnectionLimits
	metrics *Metrics
	log     *slog.Logger

	refused int       // since it was last logged; Accept's own
	logged  time.Time // when that was

	mu    sync.Mutex
	open  int
	by    map[netip.Prefix]int
	ended chan struct{}
	once  sync.Once
}

// Limit puts limits before a listener.
func Limit(listener net.Listener, limits ConnectionLimits, metrics *Metrics, log *slog.Logger) *LimitedListener {
	return &LimitedListener{Listener: listener, limits: limits, metrics: metrics, log: log, by: map[netip.Prefix]int{}, ended: make(chan struct{})}
}

// Close ends Accept.
func (l *LimitedListener) Close() error {
	l.once.Do(func() { close(l.ended) })
	return l.Listener.Close()
}

// Accept returns the next connection within the limits.
func (l *LimitedListener) Accept() (net.Conn, error) {
	const shortest, longest = 10 * time.Millisecond, time.Second
	for pause := shortest; ; {
		conn, err := l.Listener.Accept()
		switch {
		case err == nil:
			pause = shortest
		case !passes(err):
			return nil, err
		default:
			if pause == shortest {
				l.log.Warn("no connection can be accepted now; trying again", "err", err)
			}
			select {
			case <-l.ended:
			case <-time.After(pause):
			}
			pause = min(2*pause, longest)
			continue
		}
		from := clientPrefix(conn.RemoteAddr())
		if l.enter(from) {
			return &limitedConn{Conn: conn, leave: func() { l.leave(from) }}, nil
		}
		_ = conn.Close()
		l.refuse(from)
	}
}

// refuse counts a connection that was closed, and logs that now and then: clients must not be
// able to fill the log.
func (l *LimitedListener) refuse(from netip.Prefix) {
	l.metrics.refusedConnections.Add(1)
	l.refused++
	if time.Since(l.logged) < refusedInterval {
		return
	}
	l.log.Warn("too many connections are open; further ones are closed at once", "closed", l.refused, "from", from.String(), "most", l.limits.Total, "most_of_one_address", l.limits.PerAddress)
	l.refused, l.logged = 0, time.Now()
}

// refusedInterval is how often it is logged that connections are closed.
const refusedInterval = time.Minute

// passes reports whether an error of accept is about this moment and not about the listener.
func passes(err error) bool {
	for _, passing := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR, syscall.EPROTO, syscall.EPERM} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

func (l *LimitedListener) enter(from netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	perAddress := l.limits.PerAddress > 0 && !isProxy(from.Addr(), l.limits.Exempt)
	if l.limits.Total > 0 && l.open >= l.limits.Total || perAddress && l.by[from] >= l.limits.PerAddress {
		return false
	}
	l.open++
	l.by[from]++
	return true
}

func (l *LimitedListener) leave(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.by[from]--; l.by[from] == 0 {
		delete(l.by, from)
	}
}

// limitedConn makes room when it is closed.
type limitedConn struct {
	net.Conn
	once  sync.Once
	leave func()
}

func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}

// clientPrefix is what a client is known by: an IPv4 address, or the /64 that an IPv6 client
// may choose its address from.
func clientPrefix(address net.Addr) netip.Prefix {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	return prefixOf(ip)
}

func prefixOf(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits)
	return prefix
}
