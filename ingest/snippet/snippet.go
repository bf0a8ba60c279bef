// Package snippet has the script that web pages load (docs/snippet.md). snippet.ts is its
// source; snippet.js is built from it by `make snippet` and compiled in.
package snippet

import (
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"
)

//go:embed snippet.js
var built string

// Stub is the line that queues the calls of a page until the script is there.
const Stub = `!function(w,q){w.tieback=w.wf=w.intellimize=w.tieback||{q:q};["ready","setUserId","setAttributes","recordView","optOut","optIn","reset"].forEach(function(n){w.tieback[n]=w.tieback[n]||function(){q.push([n,arguments])}})}(window,[])`

// customer is what stands for the account's id in the script.
const customer = "TIEBACK_CUSTOMER"

// Version names this build of the script: it changes with it.
var Version = version(built)

func version(text string) string {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(text)) // never fails
	return hex.EncodeToString(sum.Sum(nil))
}

// For returns the script of an account.
func For(customerID string) (string, error) {
	id, err := json.Marshal(customerID) // escapes what could end a script, too
	if err != nil {
		return "", fmt.Errorf("write the account's id: %w", err)
	}
	return strings.ReplaceAll(built, customer, string(id)), nil
}
