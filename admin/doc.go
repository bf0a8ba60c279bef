// Package admin is where people come in: the admin API under /admin/api/ and the web page
// under /admin/, both behind the admin token (docs/admin.md).
//
// The API takes the token as `Authorization: Bearer TOKEN`; the page signs in with it once
// and holds a cookie, signed by a key that is derived from the token, so that a restart ends
// no session and a new token ends every one. With a cookie, whatever changes something
// must come from a page of this origin.
//
// Forms and API calls end in the same actions (actions.go), which are the edits of package
// catalog that the commands make, too; each is recorded in catalog_changes with its time
// and source. What is shown comes from package reports and jobs, like the commands' output.
//
// Pages are rendered here (html/template, templates/) and work without JavaScript, but for
// what moves: copy buttons, charts, a run's progress, the first event that arrives. Nothing
// is loaded from elsewhere.
package admin
