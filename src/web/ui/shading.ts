// The background of the hours before and after the regular session, drawn below the candles.

import type {
  IChartApi,
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesPrimitive,
  Logical,
  SeriesAttachedParameter,
  Time,
} from "lightweight-charts";

import type { Stretch } from "../core/indicators";

const COLORS = { pre: "rgba(120, 160, 220, 0.07)", after: "rgba(220, 160, 120, 0.06)" };

export class Shading implements ISeriesPrimitive<Time> {
  private chart: IChartApi | null = null;
  private requestUpdate: () => void = () => undefined;
  private stretches: readonly Stretch[] = [];
  private readonly view: IPrimitivePaneView = {
    zOrder: () => "bottom",
    renderer: () => this.renderer,
  };
  private readonly renderer: IPrimitivePaneRenderer = {
    draw: (target) => {
      const scale = this.chart?.timeScale();
      if (scale === undefined) return;
      target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio }) => {
        for (const stretch of this.stretches) {
          // Only whole indexes have coordinates: the edges lie half a candle further out.
          const from = scale.logicalToCoordinate(stretch.from as Logical);
          const to = scale.logicalToCoordinate(stretch.to as Logical);
          const after = scale.logicalToCoordinate((stretch.to + 1) as Logical);
          if (from === null || to === null || after === null) continue;
          const half = (after - to) / 2;
          const left = Math.round((from - half) * horizontalPixelRatio);
          const right = Math.round((to + half) * horizontalPixelRatio);
          if (right < 0 || left > bitmapSize.width) continue;
          context.fillStyle = COLORS[stretch.phase];
          context.fillRect(left, 0, right - left, bitmapSize.height);
        }
      });
    },
  };

  set(stretches: readonly Stretch[]): void {
    this.stretches = stretches;
    this.requestUpdate();
  }

  attached({ chart, requestUpdate }: SeriesAttachedParameter<Time>): void {
    this.chart = chart as IChartApi;
    this.requestUpdate = requestUpdate;
  }

  detached(): void {
    this.chart = null;
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return [this.view];
  }
}
