package human

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Permission adds to an error about a file that can't be opened whose it is, and who asks.
func Permission(err error) error {
	var file *fs.PathError
	if !errors.Is(err, fs.ErrPermission) || !errors.As(err, &file) {
		return err
	}
	owner, known := Owner(file.Path)
	if !known { // it could not be made
		owner, known = Owner(filepath.Dir(file.Path))
	}
	if me := userName(uint32(os.Geteuid())); known && owner != me {
		return fmt.Errorf("%w: it, or its folder, belongs to the user %s, and this runs as %s; run it as %s, or give it to %s with chown", err, owner, me, owner, me)
	}
	return err
}

// Owner is the user that a file belongs to; not known where there is no such file.
func Owner(path string) (name string, known bool) {
	info, err := os.Stat(path)
	if err != nil {
		return "", false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", false
	}
	return userName(stat.Uid), true
}

// userName is a user's name, or the number of one without.
func userName(uid uint32) string {
	number := strconv.Itoa(int(uid))
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}
