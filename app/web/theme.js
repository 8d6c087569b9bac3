// Runs before the first paint, so that nobody sees a flash of the theme they did not choose.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage, the system's theme is used.
}
