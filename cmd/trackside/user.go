package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strings"
	"time"

	"golang.org/x/term"

	"trackside/accounts"
	"trackside/handlers"
	"trackside/store"
	"trackside/store/sqlite"
)

type userCmd struct {
	Add      userAddCmd      `cmd:"" help:"Add a user; the password is asked for, or read from the first line of standard input. The server may be running."`
	List     userListCmd     `cmd:"" help:"List the users."`
	Role     userRoleCmd     `cmd:"" help:"Give a user another role; the user signs in anew."`
	Password userPasswordCmd `cmd:"" help:"Give a user another password; the user signs in anew."`
	Remove   userRemoveCmd   `cmd:"" help:"Remove a user, and end the user's sessions."`
}

// changeUsers opens the file, makes a change and enters it in the audit.
func changeUsers(ctx context.Context, f dataFlag, verb, name string, change func(*sqlite.DB, string) error) error {
	name, err := store.UserName(name)
	if err != nil {
		return err
	}
	db, err := sqlite.OpenBeside(ctx, f.Data)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := change(db, name); err != nil {
		return err
	}
	return enter(ctx, db, verb, name)
}

// enter tells the audit, where the file has one.
func enter(ctx context.Context, db any, verb, name string) error {
	audit, ok := db.(handlers.Audit)
	if !ok {
		return nil
	}
	by := "command line"
	if u, err := user.Current(); err == nil {
		by += " (" + u.Username + ")"
	}
	now := time.Now()
	_, err := audit.Enter(ctx, store.Entry{At: now, Ended: now, By: store.Person{Name: by, Role: store.Admin, Via: store.ViaNone}, Verb: verb, Object: "user " + name, Result: store.ResultDone})
	return err
}

type userAddCmd struct {
	dataFlag
	Name string `arg:"" help:"The user's name: letters, digits and . _ @ + -."`
	Role string `help:"viewer, operator or admin (default ${default})." env:"-" default:"viewer" placeholder:"ROLE"`
}

// Run adds a user.
func (u userAddCmd) Run(ctx context.Context) error {
	role, err := store.ParseRole(u.Role)
	if err != nil {
		return err
	}
	return changeUsers(ctx, u.dataFlag, "user-add", u.Name, func(db *sqlite.DB, name string) error {
		hash, err := newPassword()
		if err != nil {
			return err
		}
		now := time.Now()
		if err := db.AddUser(ctx, store.User{Name: name, Role: role, Hash: hash, Created: now, Changed: now}); err != nil {
			return err
		}
		fmt.Printf("%s may sign in as %s on a board with --local-users.\n", name, role)
		return nil
	})
}

type userRoleCmd struct {
	dataFlag
	Name string `arg:"" help:"The user's name."`
	Role string `arg:"" help:"viewer, operator or admin."`
}

// Run changes the role.
func (u userRoleCmd) Run(ctx context.Context) error {
	role, err := store.ParseRole(u.Role)
	if err != nil {
		return err
	}
	return changeUsers(ctx, u.dataFlag, "user-role", u.Name, func(db *sqlite.DB, name string) error {
		x, err := db.User(ctx, name)
		if err != nil {
			return err
		}
		x.Role, x.Changed = role, time.Now()
		return db.ChangeUser(ctx, x)
	})
}

type userPasswordCmd struct {
	dataFlag
	Name string `arg:"" help:"The user's name."`
}

// Run changes the password.
func (u userPasswordCmd) Run(ctx context.Context) error {
	return changeUsers(ctx, u.dataFlag, "user-password", u.Name, func(db *sqlite.DB, name string) error {
		x, err := db.User(ctx, name)
		if err != nil {
			return err
		}
		if x.Hash, err = newPassword(); err != nil {
			return err
		}
		x.Changed = time.Now()
		return db.ChangeUser(ctx, x)
	})
}

type userRemoveCmd struct {
	dataFlag
	Name string `arg:"" help:"The user's name."`
}

// Run removes a user.
func (u userRemoveCmd) Run(ctx context.Context) error {
	return changeUsers(ctx, u.dataFlag, "user-remove", u.Name, func(db *sqlite.DB, name string) error { return db.RemoveUser(ctx, name) })
}

type userListCmd struct{ dataFlag }

// Run lists the users.
func (u userListCmd) Run(ctx context.Context) error {
	db, err := sqlite.OpenBeside(ctx, u.Data)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	all, err := db.Users(ctx)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Println("There is none. Add one: trackside user add NAME --role admin")
	}
	for _, x := range all {
		fmt.Printf("%s  %s  changed %s UTC\n", x.Name, x.Role, x.Changed.Format(time.DateTime))
	}
	return nil
}

// newPassword asks for a password, twice at a terminal, and hashes it. It is never an argument: those are seen by everybody on the machine.
func newPassword() (string, error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		line, err := bufio.NewReader(io.LimitReader(os.Stdin, 2*accounts.MaxPassword)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		return accounts.HashPassword(strings.TrimRight(line, "\r\n"))
	}
	first, err := ask(fd, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := ask(fd, "Once more: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", fmt.Errorf("%w: the two passwords differ; nothing was changed", store.ErrInvalid)
	}
	return accounts.HashPassword(first)
}

func ask(fd int, prompt string) (string, error) {
	fmt.Fprint(os.Stderr, prompt)
	b, err := term.ReadPassword(fd)
	fmt.Fprintln(os.Stderr)
	return string(b), err
}
