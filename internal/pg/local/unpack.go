package local

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// unpack writes the files and symbolic links under root in the tar archive
// to dir, links last, so that no file is written through one.
func unpack(archive io.Reader, root, dir string) error {
	links := map[string]string{}
	for reader := tar.NewReader(archive); ; {
		head, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		name, ok := strings.CutPrefix(head.Name, root)
		if !ok {
			continue
		}
		switch head.Typeflag {
		case tar.TypeSymlink:
			links[name] = head.Linkname
		case tar.TypeReg:
			if !filepath.IsLocal(name) {
				return fmt.Errorf("unpack: %q leads out of the package", name)
			}
			mode := os.FileMode(0o644)
			if strings.HasPrefix(name, "bin/") || head.Mode&0o111 != 0 {
				mode = 0o755
			}
			if err := writeFile(filepath.Join(dir, name), reader, mode); err != nil {
				return fmt.Errorf("unpack %s: %w", name, err)
			}
		}
	}
	for name, to := range links {
		if err := makeLink(dir, name, to); err != nil {
			return err
		}
	}
	return nil
}

// makeLink makes dir/name a link to what to names beside it.
func makeLink(dir, name, to string) error {
	if !filepath.IsLocal(name) || filepath.IsAbs(to) || !filepath.IsLocal(filepath.Join(filepath.Dir(name), to)) {
		return fmt.Errorf("unpack: link %q leads out of the package", name)
	}
	if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return nil
}

// openUp lets every account read dir and what is below, whatever the umask:
// under root the programs run as somebody else.
func openUp(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		readable := info.Mode().Perm() | 0o444
		if readable&0o100 != 0 {
			readable |= 0o111
		}
		return os.Chmod(path, readable)
	})
}

func writeFile(path string, from io.Reader, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
