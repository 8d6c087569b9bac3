// Runs before the first paint, so that nobody sees a flash of colours that were not chosen.
{
  const { style, dataset } = document.documentElement;
  if (dataset.accent) style.setProperty("--pen", `light-dark(${dataset.accent.replace(" ", ", ")})`);
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") dataset.theme = theme;
  } catch {
    // Without storage, the system's theme is used.
  }
}
