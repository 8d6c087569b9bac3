// The page as an app: it can be opened without a network.

/** Have the browser keep this version of the page. Only HTTPS and this computer's own servers may ask for that. */
export async function open() {
  if (!navigator.serviceWorker) return;
  // The page's policy for Trusted Types allows no other address of a script than this one.
  const policy = window.trustedTypes?.createPolicy("service-worker", { createScriptURL: () => "worker.js" });
  try {
    await navigator.serviceWorker.register(policy ? policy.createScriptURL("") : "worker.js");
  } catch {
    // Private windows may refuse. The page works the same, but for being offline.
  }
}
