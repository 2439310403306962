package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"text/tabwriter"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rescued/events"
	"rescued/internal/pg"
	"rescued/internal/web"
)

// tokenCmd administers access tokens on the database itself: the way to the
// first administrator's token, and to any other when no API runs.
type tokenCmd struct {
	Issue  issueTokenCmd  `cmd:"" help:"Issue a token and print it, this once."`
	List   listTokensCmd  `cmd:"" help:"List tokens; the tokens themselves are not kept."`
	Revoke revokeTokenCmd `cmd:"" help:"Revoke a token, or all development tokens."`
}

type issueTokenCmd struct {
	Role    string        `arg:"" enum:"owner,crew,provider,partner,operator,finance,admin" help:"owner, crew, provider, partner, operator, finance or admin."`
	Subject string        `arg:"" help:"Whom it speaks for: own_…, crw_…, prv_…, ptn_…, or a user's name for staff."`
	Name    string        `help:"Whose device or which system holds it." default:"command line"`
	TTL     time.Duration `help:"How long it is valid; 0: until revoked." default:"0"`
}

type listTokensCmd struct{}

type revokeTokenCmd struct {
	ID          string `arg:"" optional:"" help:"tok_…, as listed."`
	Development bool   `help:"Every token made by rescued dev."`
}

// withTokens runs do on the database that the environment names.
func withTokens(a *app, do func(*web.Tokens) error) error {
	c, err := readConfig(a.env)
	if err == nil {
		err = c.needDatabase()
	}
	if err != nil {
		return err
	}
	pool, err := pg.Open(a.ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	defer pool.Close()
	return do(web.NewTokens(pool, wallClock().Now))
}

// commandLine is the actor of the administrative commands.
func commandLine() events.Actor {
	user := os.Getenv("USER")
	if user == "" {
		user = "command-line"
	}
	return events.Actor{Role: events.RoleAdmin, Subject: user}
}

// Run issues a token and prints it on a line of its own.
func (c issueTokenCmd) Run(a *app) error {
	return withTokens(a, func(tokens *web.Tokens) error {
		token, id, err := tokens.Issue(a.ctx, commandLine(), web.NewToken{
			Role: events.Role(c.Role), Subject: c.Subject, Name: c.Name, TTL: c.TTL,
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(a.stdout, token)
		fmt.Fprintf(a.stderr, "issued %s; it is shown only now\n", id)
		return nil
	})
}

// Run lists every token, newest last.
func (listTokensCmd) Run(a *app) error {
	return withTokens(a, func(tokens *web.Tokens) error {
		out := tabwriter.NewWriter(a.stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(out, "ID\tROLE\tSUBJECT\tNAME\tCREATED\tSTATE")
		err := eachToken(a.ctx, tokens, func(t web.Token) error {
			state := "valid"
			switch {
			case t.RevokedAt != nil:
				state = "revoked " + t.RevokedAt.Format(time.DateOnly)
			case t.ExpiresAt != nil:
				state = "until " + t.ExpiresAt.Format(time.RFC3339)
			}
			if t.Development {
				state += " (development)"
			}
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Role, t.Subject, t.Name, t.CreatedAt.Format(time.RFC3339), state)
			return nil
		})
		return errors.Join(err, out.Flush())
	})
}

func eachToken(ctx context.Context, tokens *web.Tokens, do func(web.Token) error) error {
	const page = 200
	var after events.TokenID
	for {
		list, err := tokens.List(ctx, after, page)
		if err != nil {
			return err
		}
		for _, t := range list {
			if err := do(t); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
		after = list[len(list)-1].ID
	}
}

// Run revokes one token, or every development token.
func (c revokeTokenCmd) Run(a *app) error {
	if (c.ID == "") == !c.Development {
		return errors.New("name one token (tok_…), or give --development")
	}
	return withTokens(a, func(tokens *web.Tokens) error {
		if c.ID != "" {
			id, err := events.ParseID[events.TokenID](c.ID)
			if err == nil {
				err = tokens.Revoke(a.ctx, commandLine(), id)
			}
			return err
		}
		revoked := 0
		err := eachToken(a.ctx, tokens, func(t web.Token) error {
			if !t.Development || t.RevokedAt != nil {
				return nil
			}
			revoked++
			return tokens.Revoke(a.ctx, commandLine(), t.ID)
		})
		fmt.Fprintf(a.stdout, "%d development tokens revoked\n", revoked)
		return err
	})
}

// newTokenBody is what an administrator asks for.
type newTokenBody struct {
	Role    events.Role `json:"role" enum:"owner,crew,provider,partner,operator,finance,admin"`
	Subject string      `json:"subject" doc:"own_…, crw_…, prv_…, ptn_…, or a user's name for staff."`
	Name    string      `json:"name" doc:"Whose device or which system holds it."`
	TTLS    int64       `json:"ttl_s,omitempty" minimum:"0" doc:"Seconds until it expires; 0 never."`
}

// issuedToken is a fresh token, shown this once.
type issuedToken struct {
	ID    events.TokenID `json:"id"`
	Token string         `json:"token"`
}

// registerTokens adds the administration of tokens to the API. They belong to
// no slice: both slices know actors, neither knows tokens.
func registerTokens(api huma.API, tokens *web.Tokens) {
	admins := web.Only(events.RoleAdmin)
	web.Register(api, huma.Operation{
		OperationID: "issueToken", Method: http.MethodPost, Path: "/v1/tokens", Summary: "Issue a token; it is shown only now",
		Tags: []string{"access"}, DefaultStatus: http.StatusCreated,
	}, admins, func(ctx context.Context, in *struct{ Body newTokenBody }) (*struct{ Body issuedToken }, error) {
		by, _ := web.ActorFrom(ctx)
		token, id, err := tokens.Issue(ctx, by, web.NewToken{
			Role: in.Body.Role, Subject: in.Body.Subject, Name: in.Body.Name, TTL: time.Duration(in.Body.TTLS) * time.Second,
		})
		if err != nil {
			return nil, err
		}
		return &struct{ Body issuedToken }{issuedToken{id, token}}, nil
	})
	type listInput struct{ web.Listing }
	web.Register(api, huma.Operation{
		OperationID: "listTokens", Method: http.MethodGet, Path: "/v1/tokens", Summary: "Tokens, oldest first; never the tokens themselves",
		Tags: []string{"access"},
	}, admins, func(ctx context.Context, in *listInput) (*web.List[web.Token], error) {
		var after events.TokenID
		if _, err := web.DecodeCursor("tokens", in.Cursor, &after); err != nil {
			return nil, err
		}
		list, err := tokens.List(ctx, after, in.Limit+1)
		if err != nil {
			return nil, err
		}
		next := ""
		if len(list) > in.Limit {
			list = list[:in.Limit]
			next = web.EncodeCursor("tokens", list[len(list)-1].ID)
		}
		return web.Listed(ctx, list, next), nil
	})
	web.Register(api, huma.Operation{
		OperationID: "revokeToken", Method: http.MethodDelete, Path: "/v1/tokens/{id}", Summary: "Revoke a token; again does nothing",
		Tags: []string{"access"}, DefaultStatus: http.StatusNoContent,
	}, admins, func(ctx context.Context, in *struct {
		ID events.TokenID `path:"id"`
	}) (*struct{}, error) {
		by, _ := web.ActorFrom(ctx)
		return nil, tokens.Revoke(ctx, by, in.ID)
	})
}

// devTokens are a token per role, by the name the env file gives them, kept in
// the data directory so that a browser stays signed in over a restart.
type devTokens map[string]string

// devRoles are the people of a demonstration; finance has two, because four
// eyes need them.
var devRoles = []struct {
	name string
	web.NewToken
}{
	{"OPERATOR", web.NewToken{Role: events.RoleOperator, Subject: "demo.operator"}},
	{"FINANCE", web.NewToken{Role: events.RoleFinance, Subject: "demo.finance"}},
	{"APPROVER", web.NewToken{Role: events.RoleFinance, Subject: "demo.approver"}},
	{"ADMIN", web.NewToken{Role: events.RoleAdmin, Subject: "demo.admin"}},
	{"PARTNER", web.NewToken{Role: events.RolePartner}},
}

// issueDevTokens reads the tokens of an earlier start, or issues new ones.
func issueDevTokens(ctx context.Context, s *system, file string) (devTokens, error) {
	kept := devTokens{}
	if raw, err := os.ReadFile(file); err == nil {
		_ = json.Unmarshal(raw, &kept) // damaged: all are issued anew
	}
	for _, r := range devRoles {
		if _, err := s.tokens.Authenticate(ctx, kept[r.name]); err == nil {
			continue
		}
		in := r.NewToken
		in.Name, in.Development = "rescued dev", true
		if in.Role == events.RolePartner {
			partner, err := s.demoPartner(ctx)
			if err != nil {
				return nil, err
			}
			in.Subject = partner.String()
		}
		token, _, err := s.tokens.Issue(ctx, events.System("dev"), in)
		if err != nil {
			return nil, err
		}
		kept[r.name] = token
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		return nil, fmt.Errorf("keep the tokens in %s: %w", file, plain(err))
	}
	return kept, nil
}
