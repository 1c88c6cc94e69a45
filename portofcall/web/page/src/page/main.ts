import "./page.css"; import("./chart.ts");
