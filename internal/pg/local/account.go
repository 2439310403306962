package local

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is who the server runs as. Postgres refuses to run as root, so
// root steps down to an account without rights; everybody else is himself.
type account struct {
	name     string
	uid, gid uint32
	drop     bool // we are root and step down
}

func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return &account{name: "this user", uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}, nil
	}
	// initdb insists on an account that has a passwd entry.
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil && uid != 0 {
			return &account{name: "account " + name, uid: uint32(uid), gid: uint32(gid), drop: true}, nil
		}
	}
	return nil, errors.New("there is no account postgres or nobody for Postgres, which does not run as root: create one with useradd --system postgres, or run as an ordinary user")
}

// procAttr puts the program in a process group of its own, so that a
// Ctrl-C at the terminal reaches us alone and we stop the server in order.
func (a *account) procAttr() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.drop {
		attr.Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
	return attr
}

// mkdir makes a directory that only the account may enter.
func (a *account) mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if a.drop {
		return os.Chown(dir, int(a.uid), int(a.gid))
	}
	return nil
}

// barrier is the topmost existing directory on the way to dir that the
// account may not pass, or empty.
func (a *account) barrier(dir string) string {
	if !a.drop {
		return ""
	}
	var found string
	for ; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && !a.mayPass(info) {
			found = dir
		}
		if dir == filepath.Dir(dir) {
			return found
		}
	}
}

func (a *account) mayPass(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case st.Uid == a.uid:
		return mode&0o100 != 0
	case st.Gid == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

// Place is where a cluster wanted in dir can live: dir itself, or, for root
// with dir behind a door the server's account cannot pass (such as /root),
// a directory of its own under /var/lib/rescued. The same dir always leads
// to the same place.
func Place(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("directory %s: %w", dir, err)
	}
	acct, err := serverAccount()
	if err != nil {
		return "", err
	}
	if acct.barrier(dir) == "" {
		return dir, nil
	}
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join("/var/lib/rescued", fmt.Sprintf("%x", sum[:6])), nil
}
