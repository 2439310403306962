// Package web is the HTTP edge: who is asking, what they sent, and how an
// answer or an error looks on the wire. It is the only place that knows
// status codes. It knows nothing of rescues; slices bring their operations.
//
// A slice registers an operation like this:
//
//	type openInput struct {
//		web.Idempotent          // the required Idempotency-Key header
//		Body NewRequest         // decoded, checked against its tags, unknown fields refused
//	}
//	type openOutput struct {
//		web.Replay              // Idempotency-Hit: true on a repeat
//		web.Versioned           // ETag
//		Body Request
//	}
//
//	func (s *Service) Routes(api huma.API) {
//		web.Register(api, huma.Operation{
//			OperationID: "openRequest", Method: http.MethodPost, Path: "/v1/requests",
//			Summary: "Ask for help", DefaultStatus: http.StatusCreated,
//		}, web.Anyone(), func(ctx context.Context, in *openInput) (*openOutput, error) {
//			by, _ := web.ActorFrom(ctx) // or web.Require(ctx, roles...)
//			req, hit, err := s.Open(ctx, by, in.Body, in.Key, web.InputHash(in.Body))
//			if err != nil {
//				return nil, err // any fault.Error, wrapped or not, becomes its problem
//			}
//			return &openOutput{web.Replayed(hit), web.Version(req.Version), req}, nil
//		})
//	}
//
// Use [Only] instead of [Anyone] to admit some roles only, [Listing] and
// [Listed] for pages of a list, [Precondition] for If-Match, [RegisterStream]
// for server-sent events.
//
// All errors leave as application/problem+json, written by [Problem]. The
// package sets huma's error constructors and strict casing when it is
// loaded, since huma keeps both in package variables.
package web
