// Starts ReDoc with the fonts of the system: its own come from elsewhere.
const fontFamily = 'system-ui, sans-serif';
Redoc.init(
  '/api/openapi.json',
  { theme: { typography: { fontFamily, headings: { fontFamily } } } },
  document.getElementById('redoc'),
);
