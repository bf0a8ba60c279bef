package chdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// checkPeer makes sure that what answers on a connection is a process of the data folder's
// owner: when an engine has died, any user of the machine could take its port, and would be
// sent its password.
func checkPeer(conn net.Conn, dataDir string) error {
	info, err := os.Stat(filepath.Join(dataDir, endpointName))
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	sockets, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return fmt.Errorf("see who answers as the engine: %w", err)
	}
	uid, found := ownerOf(sockets, conn.RemoteAddr().(*net.TCPAddr), conn.LocalAddr().(*net.TCPAddr))
	switch {
	case !found:
		return fmt.Errorf("what answers at %s as the engine is not on this machine, or has gone", conn.RemoteAddr())
	case uid != owner:
		return fmt.Errorf("what answers at %s is a process of user %d, and not the engine of user %d", conn.RemoteAddr(), uid, owner)
	}
	return nil
}

// ownerOf finds the user of the socket at local that is connected with remote, in the words of
// /proc/net/tcp (proc(5)): the eighth field of a line is the user.
func ownerOf(sockets []byte, local, remote *net.TCPAddr) (uid uint32, found bool) {
	key := []byte(" " + hexAddress(local) + " " + hexAddress(remote) + " ")
	i := bytes.Index(sockets, key)
	if i < 0 {
		return 0, false
	}
	line, _, _ := bytes.Cut(sockets[i+len(key):], []byte("\n"))
	fields := bytes.Fields(line) // state, queues, timer, retransmits, user
	if len(fields) < 5 {
		return 0, false
	}
	_, err := fmt.Sscan(string(fields[4]), &uid)
	return uid, err == nil
}

// hexAddress writes an IPv4 address as /proc/net/tcp does: the four bytes as a number of this
// machine's byte order.
func hexAddress(a *net.TCPAddr) string {
	ip := a.IP.To4()
	if ip == nil {
		return "-"
	}
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip), a.Port)
}
