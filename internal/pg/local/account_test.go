package local

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBarrierNamesTheClosedDoor(t *testing.T) {
	t.Parallel()
	base, err := os.MkdirTemp("/tmp", "rescued-door-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	stranger := &account{name: "account stranger", uid: 54321, gid: 54321, drop: true}
	inside := filepath.Join(base, "deep", "down") // does not exist yet
	require.Equal(t, base, stranger.barrier(inside), "MkdirTemp's directory is closed to others")
	require.NoError(t, os.Chmod(base, 0o711))
	require.Empty(t, stranger.barrier(inside))

	myself := &account{uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	require.Empty(t, myself.barrier(inside))
}

func TestPlaceIsSteady(t *testing.T) {
	t.Parallel()
	closed, err := os.MkdirTemp("/tmp", "rescued-door-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(closed) })
	one, err := Place(filepath.Join(closed, "pg"))
	require.NoError(t, err)
	two, err := Place(filepath.Join(closed, "pg"))
	require.NoError(t, err)
	require.Equal(t, one, two)
	if os.Geteuid() != 0 {
		require.Equal(t, filepath.Join(closed, "pg"), one, "an ordinary user runs the server himself")
		return
	}
	require.Equal(t, "/var/lib/rescued", filepath.Dir(one))
	open, err := Place("/tmp/rescued-open")
	require.NoError(t, err)
	require.Equal(t, "/tmp/rescued-open", open)
}

func TestExplainNamesTheMend(t *testing.T) {
	t.Parallel()
	full := explain(&os.PathError{Op: "write", Path: "/d/x", Err: syscall.ENOSPC}, "/d", "")
	require.ErrorContains(t, full, "the disk that holds /d is full: free some space")
	require.ErrorIs(t, full, syscall.ENOSPC)
	said := explain(errors.New("exit status 1"), "/d", "\nFATAL:  could not write: No space left on device\n\n")
	require.ErrorContains(t, said, "the disk that holds /d is full")
	require.ErrorContains(t, explain(os.ErrPermission, "/d", ""), "no permission to write in /d: correct its owner")
	require.NoError(t, explain(nil, "/d", ""))
}
