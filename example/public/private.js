// Browsers keep whole pages to bring them back with the back button. Chromium keeps even a page that says "no-store", the
// one that the login led to, and shows it after the logout. So a page leaves blank, and comes back only by asking the server.
addEventListener('pagehide', () => { document.documentElement.hidden = true })
addEventListener('pageshow', ({ persisted }) => { if (persisted) location.reload() })
