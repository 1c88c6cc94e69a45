import UPlot from "uplot";
export {UPlot};
